//! The certificates of a bundle: who signed what, and how long each is valid.

use std::time::Duration;

use jiff::Timestamp;
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{KeyPair, PublicKeyData};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::bundle::Bundle;
use super::issue::DATED_BACK;

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub from: Timestamp,
    /// Its last second.
    pub until: Timestamp,
}

impl Validity {
    /// When the certificate was issued: it is dated back by a part of its life.
    pub fn made(&self) -> Timestamp {
        // The time by which it was dated back comes on top of the life.
        self.from + self.whole() / (DATED_BACK + 1)
    }

    /// When two thirds of the life are over.
    pub fn due(&self) -> Timestamp {
        self.made() + self.whole() * DATED_BACK / (DATED_BACK + 1) * 2 / 3
    }

    fn whole(&self) -> Duration {
        Duration::try_from(self.until.duration_since(self.from)).unwrap_or_default()
    }
}

/// A bundle whose parts belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The authority that signs.
    pub authority: Validity,
    /// The served certificate.
    pub serving: Validity,
}

/// Why a bundle cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// One of the four parts is not PEM of the expected kind.
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, String),
    /// A key belongs to another certificate.
    #[error("{0} is not the key of {1}")]
    OtherKey(&'static str, &'static str),
    /// None of the authorities signed the served certificate.
    #[error("tls.crt is signed by none of ca.crt")]
    Unsigned,
    /// The certificate is for other names.
    #[error("tls.crt is not for {0}")]
    OtherName(String),
}

/// Reads a bundle that is to be served as `name`.
///
/// # Errors
/// What is wrong with the bundle. An expired certificate is no error here.
pub fn read(bundle: &Bundle, name: &str) -> Result<Chain, Unusable> {
    let authorities = pems("ca.crt", &bundle.authorities)?;
    let authorities = authorities.iter().map(|pem| certificate("ca.crt", pem));
    let authorities = authorities.collect::<Result<Vec<_>, _>>()?;
    let signing = authorities.first().ok_or_else(|| nothing("ca.crt"))?;
    let serving = pems("tls.crt", &bundle.certificate)?;
    let serving = certificate("tls.crt", serving.first().ok_or_else(|| nothing("tls.crt"))?)?;
    has_key(signing, ("ca.crt", "ca.key"), &bundle.authority_key)?;
    has_key(&serving, ("tls.crt", "tls.key"), &bundle.key)?;
    if !authorities.iter().any(|by| serving.verify_signature(Some(by.public_key())).is_ok()) {
        return Err(Unusable::Unsigned);
    }
    let names = serving.subject_alternative_name().ok().flatten();
    let has = |given: &GeneralName<'_>| matches!(given, GeneralName::DNSName(it) if *it == name);
    if !names.is_some_and(|names| names.value.general_names.iter().any(has)) {
        return Err(Unusable::OtherName(name.to_owned()));
    }
    Ok(Chain { authority: validity("ca.crt", signing)?, serving: validity("tls.crt", &serving)? })
}

/// The certificates of a text that are valid at a time, each as a text of its own; unreadable ones
/// are left out.
pub fn valid(authorities: &str, now: Timestamp) -> Vec<String> {
    let is_valid = |pem: &Pem| {
        let read = certificate("ca.crt", pem).and_then(|it| validity("ca.crt", &it));
        read.is_ok_and(|it| now <= it.until)
    };
    let all = pem::parse_many(authorities).unwrap_or_default();
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    all.iter().filter(|pem| is_valid(pem)).map(|pem| pem::encode_config(pem, lines)).collect()
}

/// When the first of the certificates expires.
pub fn until(authorities: &str) -> Option<Timestamp> {
    let first = pem::parse(authorities).ok()?;
    Some(validity("ca.crt", &certificate("ca.crt", &first).ok()?).ok()?.until)
}

/// How long a DER certificate is valid; `None` if it cannot be read.
pub fn valid_of(certificate: &[u8]) -> Option<Validity> {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
    validity("tls.crt", &read).ok()
}

/// Whether a client that trusts `trusted` accepts what the first of `authorities` signs.
pub fn trusts(trusted: &[u8], authorities: &str) -> bool {
    let trusted = pem::parse_many(trusted).unwrap_or_default();
    pem::parse(authorities).is_ok_and(|signing| trusted.contains(&signing))
}

fn pems(part: &'static str, text: &str) -> Result<Vec<Pem>, Unusable> {
    pem::parse_many(text).map_err(|error| Unusable::Unreadable(part, error.to_string()))
}

fn certificate<'a>(part: &'static str, pem: &'a Pem) -> Result<X509Certificate<'a>, Unusable> {
    let (_, read) = x509_parser::parse_x509_certificate(pem.contents())
        .map_err(|error| Unusable::Unreadable(part, error.to_string()))?;
    Ok(read)
}

fn nothing(part: &'static str) -> Unusable {
    Unusable::Unreadable(part, "there is no certificate in it".to_owned())
}

fn has_key(
    certificate: &X509Certificate<'_>,
    (part, key): (&'static str, &'static str),
    pem: &str,
) -> Result<(), Unusable> {
    let read = KeyPair::from_pem(pem);
    let read = read.map_err(|error| Unusable::Unreadable(key, error.to_string()))?;
    if certificate.public_key().subject_public_key.data != read.der_bytes() {
        return Err(Unusable::OtherKey(key, part));
    }
    Ok(())
}

fn validity(part: &'static str, of: &X509Certificate<'_>) -> Result<Validity, Unusable> {
    let time = |seconds: i64| {
        Timestamp::from_second(seconds)
            .map_err(|error| Unusable::Unreadable(part, error.to_string()))
    };
    let validity = of.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    Ok(Validity { from: time(from)?, until: time(until)? })
}
