//! Where a target is and how it is spoken to: its URL. Opens no connection.

use super::TargetError;
use crate::connector::Endpoint;
use crate::stream;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How a server is spoken to: a place in the table of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(pub(super) usize);

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As typed.
    pub text: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Whether connections are encrypted.
    pub secure: bool,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// From the first `/` on, with the query; may be empty.
    pub path: String,
}

impl Url {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let known = Protocol::schemes();
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            let hint = if std::path::Path::new(text).extension().is_some_and(|e| e == "onnx") {
                format!("tract:{text} runs it in this process; a server's URL begins with one of: {known}")
            } else {
                format!("a target is tract:MODEL, ort:MODEL or a URL with one of: {known}")
            };
            TargetError::new(format!("`{text}` is not a target"), hint)
        })?;
        let (protocol, secure, port) = Protocol::of(scheme).ok_or_else(|| {
            TargetError::new(
                format!("`{scheme}` is not a known scheme"),
                format!("use one of: {known}"),
            )
        })?;
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        if authority.contains('@') {
            return Err(TargetError::new(
                "a password does not belong in a URL",
                "send it with --header 'Authorization: …' or --token",
            ));
        }
        let bad_port = || {
            TargetError::new(
                format!("`{authority}` has no valid port"),
                "for example localhost:8000",
            )
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| bad_port())?)
            }
            _ => (authority, port),
        };
        if host.is_empty() {
            return Err(TargetError::new(
                format!("`{text}` names no host"),
                "for example kserve+http://localhost:8000/MODEL",
            ));
        }
        Ok(Self { text: text.into(), protocol, secure, host: host.into(), port, path: path.into() })
    }

    /// The port that connections go to.
    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint { host: &self.host, port: self.port, secure: self.secure }
    }

    /// Waits until something listens at the host's port, for `patience` at most.
    pub fn wait(&self, patience: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < patience {
            let found = stream::lookup(&self.host, self.port).unwrap_or_default();
            let left = patience.saturating_sub(begin.elapsed()).max(Duration::from_millis(10));
            if found.iter().any(|s| TcpStream::connect_timeout(s, left).is_ok()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether the host is this machine.
    pub fn is_here(&self) -> bool {
        let found = stream::lookup(&self.host, self.port);
        found.is_ok_and(|sockets| sockets.iter().any(stream::is_own))
    }

    /// A page of the host; encrypted where it is behind the same port and that is.
    pub(super) fn page(&self, port: u16, path: &str) -> Self {
        let (host, secure) = (&self.host, self.secure && port == self.port);
        let scheme = if secure { "https" } else { "http" };
        Self {
            text: format!("{scheme}://{host}:{port}{path}"),
            protocol: Protocol::PLAIN,
            secure,
            host: host.clone(),
            port,
            path: path.into(),
        }
    }

    /// Model and version in the path, for the protocols that have them.
    pub(crate) fn model(&self) -> Result<(String, Option<String>), TargetError> {
        let parts: Vec<&str> = self.path.split('/').filter(|p| !p.is_empty()).collect();
        let found = match parts.as_slice() {
            [model] | ["v1" | "v2", "models", model] => Some((*model, None)),
            [model, version]
            | [model, "versions", version]
            | ["v1" | "v2", "models", model, "versions", version] => Some((*model, Some(*version))),
            _ => None,
        };
        found.map(|(m, v)| (m.trim_end_matches(":predict").to_owned(), v.map(ToOwned::to_owned))).ok_or_else(|| {
            TargetError::new(
                format!("`{}` names no model", self.text),
                "put it behind the host: kserve+http://localhost:8000/MODEL or …/MODEL/versions/2",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = Url::parse("kserve+http://localhost:9000/resnet/versions/2").unwrap();
        assert!(url.protocol.names_model() && !url.secure);
        assert_eq!((url.port, url.host.as_str()), (9000, "localhost"));
        assert_eq!(url.model().unwrap(), ("resnet".into(), Some("2".into())));
        assert_eq!(Url::parse("tfs+grpc://h/m").unwrap().port, 8500);
        let six = Url::parse("http://[::1]:80/x?y=1").unwrap();
        assert_eq!((six.host.as_str(), six.port, six.path.as_str()), ("[::1]", 80, "/x?y=1"));
        assert_eq!(Url::parse("http://[::1]/").unwrap().port, 80);
        assert!(six.is_here());
        assert_eq!(six.page(8002, "/metrics").text, "http://[::1]:8002/metrics");
        for wrong in ["resnet.onnx", "gopher://x/", "http://:80/", "http://h:x/", "http://u:p@h/"] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Url::parse("kserve+grpc://h:1").unwrap().model().is_err());
    }
}
