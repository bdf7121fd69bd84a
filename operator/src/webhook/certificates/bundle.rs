//! What the Secret holds, as PEM.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

/// Keys of the Secret's data.
const AUTHORITIES: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// An authority with its key, and a certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Certificates of the authority that signs, and after it of those that signed before.
    pub authorities: String,
    /// The key of the first of these.
    pub authority_key: String,
    /// The certificate that is served.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys must not be logged.
        f.debug_struct("Bundle").field("authorities", &self.authorities).finish_non_exhaustive()
    }
}

impl Bundle {
    /// The bundle in a Secret; `None` if one of the four parts is missing, as in the empty Secret
    /// that the chart creates.
    pub fn of(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
        Some(Self {
            authorities: text(AUTHORITIES)?,
            authority_key: text(AUTHORITY_KEY)?,
            certificate: text(CERTIFICATE)?,
            key: text(KEY)?,
        })
    }

    /// The bundle as the data of a Secret.
    pub fn data(&self) -> BTreeMap<String, ByteString> {
        let Self { authorities, authority_key, certificate, key } = self;
        [(AUTHORITIES, authorities), (AUTHORITY_KEY, authority_key), (CERTIFICATE, certificate)]
            .into_iter()
            .chain([(KEY, key)])
            .map(|(name, pem)| (name.to_owned(), ByteString(pem.clone().into_bytes())))
            .collect()
    }
}
