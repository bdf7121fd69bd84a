//! An authority, and certificates that it signs. ECDSA on P-256.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// What part of its life a certificate is dated back by, for API servers whose clock is behind.
pub(super) const DATED_BACK: u32 = 10;

/// A certificate and its key, as PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Makes an authority that is valid for `life` from `now` on. `name` is told in its subject.
///
/// # Errors
/// The system has no randomness, or the times are beyond what a certificate can hold.
pub fn authority(name: &str, now: Timestamp, life: Duration) -> Result<Issued, Error> {
    let mut params = params(Vec::new(), &format!("{name} CA {}", now.as_second()))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = SystemTime::from(now - life / DATED_BACK).into();
    params.not_after = SystemTime::from(now + life).into();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Makes a certificate of a server, signed by an authority.
///
/// # Errors
/// The authority cannot be read, or a name is none that a certificate can hold; as [`authority`].
pub fn serving(
    (authority, authority_key): (&str, &str),
    names: &[String],
    now: Timestamp,
    until: Timestamp,
) -> Result<Issued, Error> {
    let issuer = Issuer::from_ca_cert_pem(authority, KeyPair::from_pem(authority_key)?)?;
    let life = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let mut params = params(names.to_vec(), names.first().map_or("", String::as_str))?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = SystemTime::from(now - life / DATED_BACK).into();
    params.not_after = SystemTime::from(until).into();
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// With a subject whose common name is cut to the 64 characters that it may have.
fn params(names: Vec<String>, subject: &str) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    let cut: String = subject.chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, cut);
    Ok(params)
}
