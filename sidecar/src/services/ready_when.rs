//! `--ready-when URL`: what has to say yes before the Grape announces services by itself.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

/// A URL that must be ready: `http://…` answers with a status from 200 to 399; `https://…` and
/// `tcp://HOST:PORT` accept a connection.
///
/// ```
/// use grape::services::ReadyWhen;
///
/// assert!("http://127.0.0.1:8080/healthz".parse::<ReadyWhen>().is_ok());
/// assert!("tcp://127.0.0.1:1337".parse::<ReadyWhen>().is_ok());
/// assert!("/healthz".parse::<ReadyWhen>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyWhen {
    url: String,
    pub(super) question: Question,
    pub(super) host: String,
    pub(super) port: u16,
}

/// What is asked of a host's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether it takes a connection.
    Connects,
    /// Whether a GET of this path and query is answered with a status from 200 to 399.
    Answers(String),
}

/// Why a text is not a [`ReadyWhen`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot be asked: {reason}")]
pub struct InvalidReadyWhen {
    text: String,
    reason: &'static str,
}

const WANTED: &str = "expected a URL such as http://127.0.0.1:8080/healthz or tcp://127.0.0.1:1337";

impl FromStr for ReadyWhen {
    type Err = InvalidReadyWhen;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = text.trim();
        let invalid = |reason| InvalidReadyWhen { text: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|_| invalid(WANTED))?;
        let authority = uri.authority().ok_or_else(|| invalid(WANTED))?;
        if authority.as_str().contains('@') {
            return Err(invalid("user names and passwords are not sent"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let (question, default_port) = match uri.scheme_str() {
            Some("http") => (Question::Answers(path.to_owned()), Some(80)),
            // Certificates are not for the Grape to judge, and TLS would double its size: that the
            // port is open has to do.
            Some("https") => (Question::Connects, Some(443)),
            Some("tcp") if matches!(path, "" | "/") => (Question::Connects, None),
            Some("tcp") => return Err(invalid("a tcp:// URL has no path")),
            _ => return Err(invalid(WANTED)),
        };
        // `port_u16` returns `None` for a bad port as well as for no port.
        let given = authority.as_str() != authority.host();
        let port = if given { authority.port_u16() } else { default_port };
        let port = port.filter(|port| *port > 0);
        let port = port.ok_or_else(|| invalid("a port from 1 to 65535 is missing"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(invalid("a host is missing"));
        }
        Ok(Self { url: url.to_owned(), question, host: host.to_owned(), port })
    }
}

impl fmt::Display for ReadyWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// URLs separated by commas; empty ones are skipped. A comma within a URL is one of the URL's
/// unless a scheme follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyWhenList(pub Vec<ReadyWhen>);

impl FromStr for ReadyWhenList {
    type Err = InvalidReadyWhen;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut urls: Vec<String> = Vec::new();
        for part in text.split(',') {
            match urls.last_mut() {
                Some(url) if !part.contains("://") && !part.trim().is_empty() => {
                    url.push(',');
                    url.push_str(part);
                }
                _ if part.trim().is_empty() => {}
                _ => urls.push(part.to_owned()),
            }
        }
        urls.iter().map(|url| url.parse()).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://127.0.0.1:8080/healthz?deep=1", "127.0.0.1", 8080, Some("/healthz?deep=1"))]
    #[case("http://127.0.0.1", "127.0.0.1", 80, Some("/"))]
    #[case("http://[::1]:8080/", "::1", 8080, Some("/"))]
    #[case("HTTP://localhost:1/a", "localhost", 1, Some("/a"))]
    #[case("https://10.0.0.1/ready", "10.0.0.1", 443, None)]
    #[case("https://10.0.0.1:8443/ready", "10.0.0.1", 8443, None)]
    #[case("tcp://127.0.0.1:1337", "127.0.0.1", 1337, None)]
    #[case(" tcp://[fd00::2]:1337/ ", "fd00::2", 1337, None)]
    fn urls_are_read(
        #[case] text: &str,
        #[case] host: &str,
        #[case] port: u16,
        #[case] path: Option<&str>,
    ) {
        let asked: ReadyWhen = text.parse().unwrap();
        let question = path.map_or(Question::Connects, |path| Question::Answers(path.to_owned()));
        assert_eq!((&*asked.host, asked.port, &asked.question), (host, port, &question));
        assert_eq!(asked.to_string(), text.trim());
    }

    #[rstest]
    #[case("", "http://127.0.0.1:8080/healthz")]
    #[case("/healthz", "http://127.0.0.1:8080/healthz")]
    #[case("127.0.0.1:8080", "http://127.0.0.1:8080/healthz")]
    #[case("udp://127.0.0.1:8080", "http://127.0.0.1:8080/healthz")]
    #[case("tcp://127.0.0.1", "a port from 1 to 65535")]
    #[case("tcp://127.0.0.1:0", "a port from 1 to 65535")]
    #[case("http://127.0.0.1:70000/", "a port from 1 to 65535")]
    #[case("tcp://127.0.0.1:1/x", "no path")]
    #[case("http://user:secret@127.0.0.1/", "passwords")]
    #[case("http://a b/", "http://127.0.0.1:8080/healthz")]
    fn other_texts_are_explained(#[case] text: &str, #[case] part: &str) {
        let error = text.parse::<ReadyWhen>().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }

    #[rstest]
    #[case("", &[])]
    #[case("http://a/x", &["http://a/x"])]
    #[case("http://a/x,tcp://b:1,,https://c/", &["http://a/x", "tcp://b:1", "https://c/"])]
    #[case("http://a/x?y=1,2, tcp://b:1", &["http://a/x?y=1,2", "tcp://b:1"])]
    fn lists_are_read(#[case] text: &str, #[case] urls: &[&str]) {
        let list: ReadyWhenList = text.parse().unwrap();
        assert_eq!(list.0.iter().map(ToString::to_string).collect::<Vec<_>>(), urls);
    }
}
