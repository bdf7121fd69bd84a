//! The certificate that the webhook serves. It changes while connections last.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tokio::sync::watch;

use super::chain;
use crate::metrics::Metrics;

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum NotServed {
    /// The text is not PEM.
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, rustls::pki_types::pem::Error),
    /// The key is of an unknown kind, or belongs to another certificate.
    #[error("tls.key cannot be used with tls.crt: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The served certificate; none at first. Clones serve the same one.
#[derive(Clone)]
pub struct CertResolver {
    key: watch::Sender<Option<Arc<CertifiedKey>>>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for CertResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertResolver").finish_non_exhaustive()
    }
}

impl CertResolver {
    /// No certificate yet. `metrics` shows how long each one is valid.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { key: watch::Sender::default(), metrics }
    }

    /// Serves this certificate from now on; returns whether it differs from the one before. Both
    /// are PEM; intermediate certificates, if any, follow the certificate.
    ///
    /// # Errors
    /// Why the certificate cannot be served. The one before is served on.
    pub fn serve(&self, certificate: &[u8], key: &[u8]) -> Result<bool, NotServed> {
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| NotServed::Unreadable("tls.crt", error))?;
        let key = PrivateKeyDer::from_pem_slice(key);
        let key = key.map_err(|error| NotServed::Unreadable("tls.key", error))?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        if let Some(valid) = key.cert.first().and_then(|certificate| chain::valid_of(certificate)) {
            self.metrics.certificate(valid.from.as_second(), valid.until.as_second());
        }
        Ok(self.key.send_if_modified(|resolver| {
            let same = resolver.as_ref().is_some_and(|resolver| resolver.cert == key.cert);
            *resolver = Some(Arc::new(key));
            !same
        }))
    }

    /// Completes when there is a certificate.
    pub async fn is_there(&self) {
        // The sender lives as long as the receiver, in the same struct.
        let _ = self.key.subscribe().wait_for(Option::is_some).await;
    }

    /// The TLS configuration that serves the certificate, over HTTP/2 or HTTP/1.1.
    ///
    /// # Errors
    /// The cryptography does not know the versions of TLS, which is a defect.
    pub fn config(&self) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for CertResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.borrow().clone()
    }
}
