//! Following redirects of a plain HTTP server, once before the load: requests of the load go where the first led to.

use super::{Asker, Options, TargetError, Url, explain};
use crate::connector::Encoded;
use crate::socket::bare;

/// Redirects that are followed, one behind the other.
const MOST: usize = 5;
/// Headers that are for one host alone.
const SECRETS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Where the load goes, and with which options.
pub(super) struct Followed {
    pub(super) url: Url,
    pub(super) options: Options,
}

/// Sends `first`, made for a URL, until an answer is no redirect.
pub(super) fn follow(
    url: &Url,
    options: &Options,
    first: impl Fn(&Asker<'_>) -> Result<Encoded, TargetError>,
) -> Result<Followed, TargetError> {
    let mut followed = Followed { url: url.clone(), options: options.clone() };
    for _ in 0..=MOST {
        let Followed { url, options } = &followed;
        let asker = Asker::new(url, options)?;
        let asked = asker.connector.redirect(&first(&asker)?, options.patience);
        let Some((status, location)) = asked.map_err(|f| explain(url, &f))? else {
            return Ok(followed);
        };
        let changes = options.body.is_some() && !matches!(status, 307 | 308);
        if changes {
            return Err(TargetError::new(
                format!(
                    "`{}` answers {status}: a client turns the request into a GET without its body then",
                    url.text
                ),
                format!("give the URL that takes the body as the target; it may be {location}"),
            ));
        }
        let next = target(url, &location)?;
        let mut options = options.clone();
        if (bare(&next.host), next.port, &next.unix) != (bare(&url.host), url.port, &url.unix) {
            // Credentials go to the host that they are for, and to no other.
            options.headers.retain(|(name, _)| {
                !SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
            });
            options.address = None;
        }
        followed = Followed { url: next, options };
    }
    Err(TargetError::new(
        format!("`{}` redirects more than {MOST} times", url.text),
        "see where it leads with `curl -sIL URL`",
    ))
}

/// The URL that a `Location` means, seen from another: RFC 9110, 10.2.2, and RFC 3986, 5.2, for what servers send.
fn target(from: &Url, location: &str) -> Result<Url, TargetError> {
    let location = location.split('#').next().unwrap_or_default();
    if location.contains("://") {
        let next = Url::parse(location)?;
        if next.protocol != from.protocol || next.unix.is_some() {
            return Err(TargetError::new(
                format!("`{}` redirects to `{location}`, which is no HTTP", from.text),
                "give the URL that is meant as the target",
            ));
        }
        return Ok(next);
    }
    let path = from.path.split('?').next().unwrap_or_default();
    let path = match location {
        "" => return Ok(from.clone()),
        other if other.starts_with("//") => {
            let scheme = if from.secure { "https" } else { "http" };
            return Url::parse(&format!("{scheme}:{other}"));
        }
        other if other.starts_with('/') => other.to_owned(),
        other if other.starts_with('?') => format!("{path}{other}"),
        other => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            simple(&format!("{folder}/{other}"))
        }
    };
    Ok(from.at(&path))
}

/// A path without `.` and `..`.
fn simple(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
    let mut parts: Vec<&str> = Vec::new();
    let last = path.split('/').count().saturating_sub(1);
    for (at, part) in path.split('/').enumerate().skip(1) {
        match part {
            "." | ".." => {
                if part == ".." {
                    parts.pop();
                }
                if at == last {
                    parts.push("");
                }
            }
            part => parts.push(part),
        }
    }
    let query = query.map_or(String::new(), |q| format!("?{q}"));
    format!("/{}{query}", parts.join("/"))
}

/// Any text, seen from a URL: a URL of the same protocol that is read again as it stands, or one error.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(text: &str) {
    let Ok(from) = Url::parse("http://h:5000/a/b?x=1") else { return };
    if let Ok(to) = target(&from, text) {
        assert!(to.protocol == from.protocol && to.unix.is_none());
        assert!(Url::parse(&to.text).is_ok(), "{}", to.text);
    }
    let _ = Url::parse(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_as_browsers_read_them() {
        let from = Url::parse("http://h:5000/a/b?x=1").unwrap();
        for (location, text) in [
            ("/new", "http://h:5000/new"),
            ("c", "http://h:5000/a/c"),
            ("../c/./d?y=2", "http://h:5000/c/d?y=2"),
            ("?y=2", "http://h:5000/a/b?y=2"),
            ("//other/z#part", "http://other/z"),
            ("https://other:8443/z", "https://other:8443/z"),
            ("", "http://h:5000/a/b?x=1"),
        ] {
            assert_eq!(target(&from, location).unwrap().text, text, "{location}");
        }
        for wrong in ["ftp://h/", "kserve+http://h/m", "http+unix:///run/x.sock:/"] {
            assert!(target(&from, wrong).is_err(), "{wrong}");
        }
    }
}
