//! Where a target is and how it is spoken to: its URL. Opens no connection.

use super::TargetError;
use crate::connector::Endpoint;
use crate::socket::{Socket, lookup};
use crate::stream::Failure;
use std::path::PathBuf;
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
    /// Name or address; `localhost` of a Unix socket.
    pub host: String,
    /// Port; the protocol's usual one of a Unix socket, which has none.
    pub port: u16,
    /// A Unix socket in place of host and port.
    pub unix: Option<PathBuf>,
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
        let local = scheme.strip_suffix("+unix");
        let unknown = || {
            TargetError::new(
                format!("`{scheme}` is not a known scheme"),
                format!("use one of: {known}; http+unix:// for Unix sockets"),
            )
        };
        let (protocol, secure, port) = Protocol::of(local.unwrap_or(scheme)).ok_or_else(unknown)?;
        if local.is_some() {
            return if secure { Err(unknown()) } else { Self::local(text, protocol, port, rest) };
        }
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
        let (text, host, path) = (text.into(), host.into(), path.into());
        Ok(Self { text, protocol, secure, host, port, unix: None, path })
    }

    /// The URL of a Unix socket, of which `rest` stands behind the scheme: `/run/server.sock:/path`, or the socket
    /// with its slashes as `%2F` in the place of the host.
    fn local(text: &str, protocol: Protocol, port: u16, rest: &str) -> Result<Self, TargetError> {
        let wrong = || {
            TargetError::new(
                format!("`{text}` names no Unix socket"),
                "for example http+unix:///run/server.sock:/predict or http+unix://%2Frun%2Fserver.sock/predict",
            )
        };
        let (socket, path) = if rest.starts_with('/') {
            rest.split_once(':').unwrap_or((rest, ""))
        } else {
            rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
        };
        let socket = PathBuf::from(decoded(socket).ok_or_else(wrong)?);
        if !socket.is_absolute() {
            return Err(wrong());
        }
        let (text, host, path) = (text.into(), "localhost".into(), path.into());
        Ok(Self { text, protocol, secure: false, host, port, unix: Some(socket), path })
    }

    /// The places that the host stands for.
    pub(crate) fn sockets(&self) -> Result<Vec<Socket>, Failure> {
        match &self.unix {
            Some(path) => Ok(vec![Socket::Unix(path.clone())]),
            None => lookup(&self.host, self.port),
        }
    }

    /// Where connections go, as a message names it.
    pub(crate) fn place(&self) -> String {
        match &self.unix {
            Some(path) => format!("the socket `{}`", path.display()),
            None => format!("port {} of `{}`", self.port, self.host),
        }
    }

    /// The port that connections go to.
    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            host: &self.host,
            port: self.port,
            secure: self.secure,
            unix: self.unix.as_deref(),
        }
    }

    /// Waits until something listens at the host's port, for `patience` at most.
    pub fn wait(&self, patience: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < patience {
            let found = self.sockets().unwrap_or_default();
            let left = patience.saturating_sub(begin.elapsed()).max(Duration::from_millis(10));
            if found.iter().any(|s| s.listens(left)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether the host is this machine.
    pub fn is_here(&self) -> bool {
        self.sockets().is_ok_and(|sockets| sockets.iter().any(Socket::is_own))
    }

    /// A page of the host; encrypted where it is behind the same port and that is. Other ports of a server with a Unix
    /// socket are this machine's.
    pub(super) fn page(&self, port: u16, path: &str) -> Self {
        let (host, secure) = (&self.host, self.secure && port == self.port);
        let unix = self.unix.clone().filter(|_| port == self.port);
        let text = match &unix {
            Some(socket) => format!("http+unix://{}:{path}", socket.display()),
            None => format!("{}://{host}:{port}{path}", if secure { "https" } else { "http" }),
        };
        Self {
            text,
            protocol: Protocol::PLAIN,
            secure,
            host: host.clone(),
            port,
            unix,
            path: path.into(),
        }
    }

    /// Another path of the same server.
    pub(super) fn at(&self, path: &str) -> Self {
        self.page(self.port, path)
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

/// Text with `%2F` and its like undone; `None` where that is no text.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_unix_sockets() {
        for text in ["http+unix:///run/a b.sock:/x?y=1", "http+unix://%2Frun%2Fa%20b.sock/x?y=1"] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.unix, Some(PathBuf::from("/run/a b.sock")), "{text}");
            assert_eq!((url.path.as_str(), url.is_here()), ("/x?y=1", true));
        }
        let grpc = Url::parse("kserve+grpc+unix:///run/t.sock:/m").unwrap();
        assert_eq!((grpc.model().unwrap().0.as_str(), grpc.port), ("m", 8001));
        assert_eq!(grpc.page(8002, "/metrics").text, "http://localhost:8002/metrics");
        let bare = Url::parse("http+unix:///run/t.sock").unwrap();
        assert_eq!(bare.page(bare.port, "/m").text, "http+unix:///run/t.sock:/m");
        for wrong in [
            "https+unix:///run/t.sock",
            "http+unix://run/t.sock",
            "http+unix://",
            "http+unix://%2",
            "http+unix://%2Fa%00b/",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }

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
