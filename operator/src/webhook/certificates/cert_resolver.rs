//! The certificate that is shown to whoever connects. It changes while connections last.

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
    /// It is no PEM.
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, rustls::pki_types::pem::Error),
    /// The key is of an unknown kind, or another certificate's.
    #[error("tls.key cannot be used with tls.crt: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate that is served; none at first. Clones serve the same.
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
    /// None yet. `metrics` is told how long each is valid.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { key: watch::Sender::default(), metrics }
    }

    /// Serves this one from now on; whether it is another than before. Both as PEM, the certificate
    /// with those that signed it after it, if there are any.
    ///
    /// # Errors
    /// Why it cannot be served: the one before is, then.
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

    /// Completes when there is one.
    pub async fn is_there(&self) {
        // It is this sender that the receiver waits for: it does not end before.
        let _ = self.key.subscribe().wait_for(Option::is_some).await;
    }

    /// How connections are made that show it. They agree on HTTP/2 or HTTP/1.1.
    ///
    /// # Errors
    /// The versions of TLS are not known to the cryptography: a defect.
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
