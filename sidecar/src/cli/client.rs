//! Asks a Grape over HTTP.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde_json::Value;
use tokio::time::timeout;

use crate::http::{ANNOUNCED_AT, StatusPage, outgoing};
use crate::printable;

/// How long a connection may take, and how long an answer: a lookup past dead nodes takes seconds.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);

/// What npm's Grape answers where it does not know the verb.
const UNKNOWN_VERB: &[u8] = b"\"ERR_REQ_NOTFOUND\"";
/// What npm's Grape answers to a request without a body, at any path.
const NO_BODY: &[u8] = b"ERR_GRAPE_PAYLOAD_INVALID";

/// Where a Grape's API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    host: String,
    port: u16,
}

impl Url {
    /// Where a Grape of this host has its API at `port`.
    pub(crate) fn of_this_host(port: u16) -> Self {
        Self { host: Ipv4Addr::LOCALHOST.to_string(), port }
    }
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected an address such as http://127.0.0.1:30001";
        let uri: Uri = text.parse().map_err(|_| WRONG)?;
        let plain = uri.scheme_str().is_none_or(|scheme| scheme == "http");
        let bare = matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("" | "/"));
        // Of a port that is no number there is none to see.
        let whole = uri.authority().is_some_and(|authority| {
            authority.port_u16().is_some()
                || !authority.as_str().trim_start_matches(authority.host()).contains(':')
        });
        match uri.host() {
            Some(host) if plain && bare && whole => {
                Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(80) })
            }
            _ => Err(WRONG),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

/// Why a Grape could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nothing answers there.
    #[error(
        "no Grape answers at {url}: {reason}. Start one with `grape`, or name another with \
         --grape URL or GRAPE_URL"
    )]
    Unreachable {
        /// Where.
        url: Url,
        /// What the system or the other side said.
        reason: String,
    },
    /// A Grape answers that has only the original's verbs.
    #[error("{url} is npm's Grape, which has no {what}; lookup, announce, put and get work there")]
    Npms {
        /// Where.
        url: Url,
        /// What was asked.
        what: String,
    },
    /// The request is longer than the Grape takes.
    #[error("{url} takes no request of {size} bytes: see its --check_maxPayloadSize")]
    TooLarge {
        /// Where.
        url: Url,
        /// The bytes of its body.
        size: usize,
    },
    /// Something answers, and it is no Grape.
    #[error("{url} answers, but not as a Grape does: {answer}")]
    Foreign {
        /// Where.
        url: Url,
        /// What it answered.
        answer: String,
    },
}

/// What a Grape said to a verb.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    /// HTTP's status.
    pub(crate) status: StatusCode,
    /// The result or the refusal; `None` for an empty answer.
    pub(crate) body: Option<Value>,
    /// Of a withdrawal: that it changed nothing, and who announces the service.
    pub(crate) announced_at: Option<String>,
}

/// Asks `verb` of a Grape.
pub(crate) async fn ask(url: &Url, verb: &str, data: &Value) -> Result<Said, ClientError> {
    let body = serde_json::json!({ "rid": verb, "data": data }).to_string();
    let size = body.len();
    let response = send(url, Method::POST, &format!("/{verb}"), body).await?;
    let status = response.status();
    let announced_at = response.headers().get(ANNOUNCED_AT);
    let announced_at = announced_at.and_then(|at| at.to_str().ok()).map(str::to_owned);
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Err(ClientError::TooLarge { url: url.clone(), size });
    }
    let body = whole(url, response).await?;
    if body.is_empty() {
        return Ok(Said { status, body: None, announced_at });
    }
    if *body == *UNKNOWN_VERB {
        return Err(ClientError::Npms { url: url.clone(), what: verb.to_owned() });
    }
    match serde_json::from_slice(&body) {
        Ok(body) => Ok(Said { status, body: Some(body), announced_at }),
        Err(_) => Err(foreign(url, status, &body)),
    }
}

/// The answer to a request for a path.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

/// Sends a request for a path, and reads the answer, whatever its status.
pub(crate) async fn call(
    url: &Url,
    method: Method,
    path: &str,
    body: String,
) -> Result<Answered, ClientError> {
    let response = send(url, method, path, body).await?;
    let status = response.status();
    let body = whole(url, response).await?;
    if *body == *UNKNOWN_VERB || *body == *NO_BODY {
        let what = path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
        return Err(ClientError::Npms { url: url.clone(), what });
    }
    Ok(Answered { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Reads a page of a Grape.
pub(crate) async fn page(url: &Url, path: &str) -> Result<Bytes, ClientError> {
    let response = stream(url, path).await?;
    whole(url, response).await
}

/// Reads how a Grape does.
pub(crate) async fn status(url: &Url) -> Result<StatusPage, ClientError> {
    let body = page(url, "/status").await?;
    serde_json::from_slice(&body)
        .map_err(|error| ClientError::Foreign { url: url.clone(), answer: error.to_string() })
}

/// Reads a page of a Grape bit by bit.
pub(crate) async fn stream(url: &Url, path: &str) -> Result<Response<Incoming>, ClientError> {
    let response = send(url, Method::GET, path, String::new()).await?;
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let body = whole(url, response).await?;
    if *body == *NO_BODY {
        let what = path.trim_start_matches('/').split('?').next().unwrap_or_default().to_owned();
        return Err(ClientError::Npms { url: url.clone(), what });
    }
    Err(foreign(url, status, &body))
}

async fn send(
    url: &Url,
    method: Method,
    path: &str,
    body: String,
) -> Result<Response<Incoming>, ClientError> {
    let unreachable = |reason: &dyn fmt::Display| unreachable(url, reason);
    let host = url.host.trim_start_matches('[').trim_end_matches(']');
    let (mut sender, connection) = timeout(CONNECT, outgoing::open(host, url.port))
        .await
        .map_err(|_| unreachable(&"it took too long to connect"))?
        .map_err(|error| unreachable(&error))?;
    // It ends with the connection; what goes wrong on it shows in the answer.
    tokio::spawn(async { drop(connection.await) });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, format!("{}:{}", url.host, url.port))
        .body(Full::<Bytes>::from(body))
        .map_err(|error| unreachable(&error))?;
    timeout(ANSWER, sender.send_request(request))
        .await
        .map_err(|_| unreachable(&"it took too long to answer"))?
        .map_err(|error| unreachable(&error))
}

async fn whole(url: &Url, response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = timeout(ANSWER, response.into_body().collect())
        .await
        .map_err(|_| unreachable(url, &"its answer broke off"))?
        .map_err(|error| unreachable(url, &error))?;
    Ok(body.to_bytes())
}

fn unreachable(url: &Url, reason: &dyn fmt::Display) -> ClientError {
    ClientError::Unreachable { url: url.clone(), reason: reason.to_string() }
}

fn foreign(url: &Url, status: StatusCode, body: &[u8]) -> ClientError {
    let text: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    let text = printable::line(&text);
    ClientError::Foreign { url: url.clone(), answer: format!("{status} {text}") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://127.0.0.1:30001", "http://127.0.0.1:30001")]
    #[case("http://127.0.0.1:30001/", "http://127.0.0.1:30001")]
    #[case("grape.prod:40001", "http://grape.prod:40001")]
    #[case("http://[::1]:30001", "http://[::1]:30001")]
    #[case("http://grape", "http://grape:80")]
    fn addresses_are_read(#[case] text: &str, #[case] url: &str) {
        assert_eq!(text.parse::<Url>().unwrap().to_string(), url);
    }

    #[rstest]
    fn other_texts_are_refused(
        #[values(
            "",
            "/",
            "https://grape:30001",
            "http://grape:30001/lookup",
            "http://a b",
            "foo:bar",
            "http://foo:70000",
            "http://foo:",
            "http://[::1]:x"
        )]
        text: &str,
    ) {
        assert!(text.parse::<Url>().is_err());
    }
}
