//! Issues an authority, and certificates that it signs. ECDSA on P-256.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// By what part of its life a certificate is dated back, for API servers whose clock is behind.
pub(super) const DATED_BACK: u32 = 10;

/// A certificate and its key, as PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Issues an authority that is valid for `life` from `now` on, with `name` in its subject.
///
/// # Errors
/// The system has no randomness, or a certificate cannot hold these times.
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

/// Issues a server's certificate, signed by an authority.
///
/// # Errors
/// The authority cannot be read, or a certificate cannot hold one of the names; as [`authority`].
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

/// A subject whose common name is cut to the 64 characters that X.509 allows.
fn params(names: Vec<String>, subject: &str) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    let cut: String = subject.chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, cut);
    Ok(params)
}
