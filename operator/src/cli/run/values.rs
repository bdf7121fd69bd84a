//! The values of flags, and what is wrong with those that are refused.

use std::net::{AddrParseError, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use grape_cluster::duration;

/// An address to listen at; none in an empty text, or in `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bind(pub(super) Option<SocketAddr>);

impl FromStr for Bind {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        Ok(Self(if matches!(text, "" | "none") { None } else { Some(text.parse()?) }))
    }
}

/// Names of namespaces, parted by commas; none in an empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespaces(pub(super) Vec<String>);

impl FromStr for Namespaces {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        Ok(Self(names.map(namespace).collect::<Result<_, _>>()?))
    }
}

pub(super) fn namespace(text: &str) -> Result<String, String> {
    if text.is_empty() || !is_dns_label(text) {
        return Err(format!(
            "{text:?} is no namespace; expected lower-case letters, digits and '-', 63 characters \
             at most, as in grape-system"
        ));
    }
    Ok(text.to_owned())
}

fn is_dns_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

pub(super) fn object_name(text: &str) -> Result<String, String> {
    let labels = || text.split('.');
    if text.len() > 253 || labels().any(|label| label.is_empty() || !is_dns_label(label)) {
        return Err(
            "expected lower-case letters, digits, '-' and '.', 253 characters at most, as \
                    in grape-operator"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

pub(super) fn service_name(text: &str) -> Result<String, String> {
    if !text.starts_with(|first: char| first.is_ascii_lowercase()) || !is_dns_label(text) {
        return Err(format!(
            "{text:?} is no name of a Service; expected lower-case letters, digits and '-', a letter \
             first, 63 characters at most, as in grape-operator-webhook"
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .map_err(|problem| format!("{problem}; expected a duration as in 15s, 500ms or 1m30s"))
}
