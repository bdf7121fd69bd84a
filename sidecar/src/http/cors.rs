//! The origins of the web pages that may use the API from a browser, and the CORS headers for their
//! browsers (see the Fetch standard). Without a list there are no such headers.

use std::fmt;
use std::str::FromStr;

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, Request, Uri};

/// How long a browser may remember a preflight's answer, in seconds: the most that Chromium does.
const MAX_AGE: &str = "7200";

/// Browsers ask for it before a page of the internet may reach a private or loopback address:
/// Private Network Access, a draft of WICG.
const REQUEST_PRIVATE: &str = "access-control-request-private-network";
const ALLOW_PRIVATE: &str = "access-control-allow-private-network";

const ANY: &str = "*";

/// An origin as browsers send it, such as `http://localhost:5173`; or `*` for all of them.
///
/// ```
/// use grape::http::Origin;
///
/// assert!("http://localhost:5173".parse::<Origin>().is_ok());
/// assert!("http://localhost:5173/page".parse::<Origin>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// Why a text is no [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no origin: {reason}")]
pub struct InvalidOrigin {
    text: String,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Form,
    Path,
    Case(String),
    Port(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str(
                "write SCHEME://HOST or SCHEME://HOST:PORT, as http://localhost:5173, or *",
            ),
            Self::Path => f.write_str("leave out what comes after the host and the port"),
            Self::Case(right) => write!(f, "browsers send it in lower case: {right}"),
            Self::Port(right) => write!(f, "browsers leave out the usual port: {right}"),
        }
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| InvalidOrigin { text: text.to_owned(), reason };
        if text == ANY {
            return Ok(Self(HeaderValue::from_static(ANY)));
        }
        let uri: Uri = text.parse().map_err(|_| invalid(Reason::Form))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(invalid(Reason::Form));
        };
        // `port_u16` returns `None` for a bad port as well as for no port.
        let given = authority.as_str() != authority.host();
        if authority.as_str().contains(['@', '*']) || given && authority.port_u16().is_none() {
            return Err(invalid(Reason::Form));
        }
        if text.len() != scheme.len() + "://".len() + authority.as_str().len() {
            return Err(invalid(Reason::Path));
        }
        let lower = text.to_ascii_lowercase();
        if lower != text {
            return Err(invalid(Reason::Case(lower)));
        }
        if let ("http", Some(80)) | ("https", Some(443)) = (scheme, authority.port_u16()) {
            let right = format!("{scheme}://{}", authority.host());
            return Err(invalid(Reason::Port(right)));
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| invalid(Reason::Form))
    }
}

/// The origins of the pages that may ask.
pub(crate) struct Origins(Vec<HeaderValue>);

/// The CORS headers of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    origin: Option<HeaderValue>,
    /// Whether the answer to a page of another origin would be another one.
    varies: bool,
}

impl Origins {
    pub(crate) fn new(origins: &[Origin]) -> Self {
        let any = origins.iter().find(|origin| origin.0 == ANY);
        let listed = any.map_or(origins, std::slice::from_ref);
        Self(listed.iter().map(|origin| origin.0.clone()).collect())
    }

    /// Whether no page may, as it is without the flag.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every page may.
    pub(crate) fn lists_all(&self) -> bool {
        self.0.iter().any(|origin| origin == ANY)
    }

    /// Whether pages of this origin may.
    pub(crate) fn lists(&self, origin: &HeaderValue) -> bool {
        self.lists_all() || self.0.contains(origin)
    }

    /// The CORS headers for pages of this origin, which is listed, or for who told none.
    pub(crate) fn permit(&self, origin: Option<&HeaderValue>) -> Permit {
        if self.lists_all() {
            let any = HeaderValue::from_static(ANY);
            return Permit { origin: Some(any), varies: false };
        }
        Permit { origin: origin.cloned(), varies: !self.is_empty() }
    }
}

impl Permit {
    /// Whether it adds any header.
    pub(crate) fn has_headers(&self) -> bool {
        self.origin.is_some() || self.varies
    }

    /// Adds it to an answer's headers.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        if let Some(origin) = self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
    }
}

/// The headers of the answer to a preflight, which is how a browser asks what a page may send; `None`
/// for any other request.
pub(crate) fn preflight<B>(request: &Request<B>) -> Option<HeaderMap> {
    let asked = request.headers();
    if request.method() != Method::OPTIONS
        || !asked.contains_key(ORIGIN)
        || !asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    {
        return None;
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE"),
    );
    // No header changes what a verb does: a page may send those that its library likes.
    let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let usual = || HeaderValue::from_static("content-type");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or_else(usual));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    if asked.get(REQUEST_PRIVATE).is_some_and(|wanted| wanted == "true") {
        headers.insert(ALLOW_PRIVATE, HeaderValue::from_static("true"));
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    fn origins_are_taken_as_browsers_send_them(
        #[values(
            "*",
            "http://localhost:5173",
            "https://example.org",
            "http://[::1]:8080",
            "http://example.org:443",
            "capacitor://localhost"
        )]
        text: &str,
    ) {
        assert_eq!(text.parse::<Origin>().unwrap().0, text);
    }

    #[rstest]
    #[case("", "write SCHEME://HOST")]
    #[case("null", "write SCHEME://HOST")]
    #[case("localhost:5173", "write SCHEME://HOST")]
    #[case("http://", "write SCHEME://HOST")]
    #[case("http://*.example.org", "write SCHEME://HOST")]
    #[case("http://me@a", "write SCHEME://HOST")]
    #[case("http://a:", "write SCHEME://HOST")]
    #[case("http://a:b", "write SCHEME://HOST")]
    #[case("http://a b", "write SCHEME://HOST")]
    #[case("http://localhost:5173/", "leave out what comes after the host and the port")]
    #[case("http://a/b?c", "leave out what comes after the host and the port")]
    #[case("HTTP://Example.org", "in lower case: http://example.org")]
    #[case("http://a:80", "leave out the usual port: http://a")]
    #[case("https://[::1]:443", "leave out the usual port: https://[::1]")]
    fn invalid_origins_are_explained(#[case] text: &str, #[case] reason: &str) {
        let error = text.parse::<Origin>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
