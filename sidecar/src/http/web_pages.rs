//! Which requests of web pages are answered. A page that somebody opens on the Grape's machine can send
//! requests to the Grape: by a form, by a script, by a WebSocket, or as a host whose name leads to this
//! machine (DNS rebinding). Browsers say so in `Origin` (the Fetch standard), `Sec-Fetch-Site` (Fetch
//! Metadata, a draft of W3C) and `Host`; programs send a `Host`, and nothing else of these.

use std::fmt;
use std::str::FromStr;

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::{Method, Request};

use super::cors::{Origin, Origins, Permit};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// A host's name that leads to this machine, as `grape.example.org`: without scheme and port.
///
/// ```
/// use grape::http::ApiHost;
///
/// assert!("grape.example.org".parse::<ApiHost>().is_ok());
/// assert!("http://grape.example.org".parse::<ApiHost>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiHost(String);

/// Why a text is no [`ApiHost`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a host: write it without scheme, port and path, as grape.example.org")]
pub struct InvalidHost(String);

impl FromStr for ApiHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_label = |label: &str| {
            let taken = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !label.is_empty() && label.bytes().all(taken)
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.split('.').all(is_label) {
            Ok(Self(name.to_ascii_lowercase()))
        } else {
            Err(InvalidHost(text.to_owned()))
        }
    }
}

/// The pages that may ask, and the names of this machine.
pub(super) struct WebPages {
    origins: Origins,
    hosts: Vec<ApiHost>,
}

/// Why a request is not answered: the text for the page's developer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Host(String),
    Origin(String),
    Site(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => writeln!(
                f,
                "The request is for the host {host}, which may be a name that a web page made up for \
                 this machine. If the name is right, list it in this Grape's --api-host."
            ),
            Self::Origin(origin) => {
                writeln!(f, "This Grape's --api-origin does not list the origin {origin}.")
            }
            Self::Site(site) => writeln!(
                f,
                "A web page of another site sent the request (Sec-Fetch-Site: {site}). Pages that may \
                 ask are listed in this Grape's --api-origin."
            ),
        }
    }
}

impl WebPages {
    pub(super) fn new(origins: &[Origin], hosts: &[ApiHost]) -> Self {
        Self { origins: Origins::new(origins), hosts: hosts.to_vec() }
    }

    /// What the answer's headers say of the page; `to_loopback` is whether the request came to a loopback
    /// address, where every name of DNS may lead.
    pub(super) fn permit<B>(
        &self,
        request: &Request<B>,
        to_loopback: bool,
    ) -> Result<Permit, Refusal> {
        let headers = request.headers();
        // Every request pays for this: a walk through its few headers costs less than looking for each.
        let told =
            || headers.iter().filter(|(name, _)| *name == HOST).map(|(_, host)| host.as_bytes());
        if to_loopback {
            let of_target = request.uri().host().map(str::as_bytes);
            let mut hosts = of_target.into_iter().chain(told());
            if let Some(foreign) = hosts.find(|host| !self.leads_here(host)) {
                return Err(Refusal::Host(lossy(foreign)));
            }
        }
        if !headers.keys().any(|name| *name == ORIGIN || *name == SITE) {
            return Ok(self.origins.permit(None));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let first = origins.next();
        if first.is_some_and(|origin| self.origins.lists(origin)) && origins.next().is_none() {
            return Ok(self.origins.permit(first));
        }
        let is_own = |origin: &HeaderValue| {
            let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            authority
                .is_some_and(|(_, of)| told().all(|host| host.eq_ignore_ascii_case(of.as_bytes())))
                && headers.contains_key(HOST)
        };
        if let Some(foreign) = headers.get_all(ORIGIN).iter().find(|origin| !is_own(origin)) {
            return Err(Refusal::Origin(lossy(foreign.as_bytes())));
        }
        if !self.origins.lists_all()
            && let Some(site) = other_site(request.method(), headers)
        {
            return Err(Refusal::Site(site));
        }
        Ok(self.origins.permit(None))
    }

    /// Whether a `Host` names this machine, as far as one can tell: it is an address, a name without a dot,
    /// which nobody outside owns, under `localhost`, or listed.
    fn leads_here(&self, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else { return false };
        if host.starts_with('[') {
            return true;
        }
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        let name = name.strip_suffix('.').unwrap_or(name);
        let Some((_, last)) = name.rsplit_once('.') else { return true };
        // Browsers take a name that ends in a number for an IPv4 address (the URL standard).
        last.eq_ignore_ascii_case("localhost")
            || !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
            || self.hosts.iter().any(|host| host.0.eq_ignore_ascii_case(name))
    }
}

/// The site that a browser says the page is of, if that is another one. Whoever follows a link, or types an
/// address, is let through: the page that it comes from gets no answer.
fn other_site(method: &Method, headers: &HeaderMap) -> Option<String> {
    // Where several are told, the worst counts.
    let mut sites = headers.get_all(SITE).iter();
    let site = sites.find(|site| *site == "cross-site" || *site == "same-site")?;
    let mut modes = headers.get_all(MODE).iter().peekable();
    let navigates =
        method == Method::GET && modes.peek().is_some() && modes.all(|mode| mode == "navigate");
    (!navigates).then(|| lossy(site.as_bytes()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
