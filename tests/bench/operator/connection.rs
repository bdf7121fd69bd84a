//! HTTPS as an API server speaks it to a webhook: HTTP/1.1, on connections that are kept. It does not
//! speak HTTP/2 to a Service, for all requests would go to one of its endpoints.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use grape_operator::webhook::server::PATH;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::task::AbortOnDropHandle;

/// Where a webhook is, and the CA that its certificate must be of.
pub struct Target {
    address: SocketAddr,
    name: ServerName<'static>,
    tls: TlsConnector,
    /// Idle connections. As in Go, the most recently used one is taken first.
    idle: Mutex<Vec<Connection>>,
}

impl Target {
    /// At a port here, by the name of its Service; `authorities` as PEM.
    ///
    /// # Errors
    /// When the name or the authorities cannot be used.
    pub fn new(port: u16, name: &str, authorities: &[u8]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities) {
            roots.add(authority?)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            name: ServerName::try_from(name.to_owned())?,
            tls: TlsConnector::from(Arc::new(config)),
            idle: Mutex::default(),
        })
    }

    /// A new connection.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(self.name.clone(), stream).await?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            // The request returns the error.
            let _ = connection.await;
        });
        Ok(Connection { requests, _driver: AbortOnDropHandle::new(driver) })
    }

    /// One that is idle; the webhook hangs up on those that are so for long.
    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.requests.is_closed())
    }

    /// Asks by a connection that is idle, or else by a new one.
    ///
    /// # Errors
    /// As with [`Connection::ask`].
    pub async fn ask(&self, question: Vec<u8>) -> Result<Bytes> {
        let mut connection = match self.idle() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = connection.ask(question).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(answer)
    }
}

/// A connection that is kept.
pub struct Connection {
    requests: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    /// Posts a question, and gives the answer.
    ///
    /// # Errors
    /// When there is none, or it is no success.
    pub async fn ask(&mut self, question: Vec<u8>) -> Result<Bytes> {
        self.requests.ready().await?;
        let request = Request::post(format!("{PATH}?timeout=10s"))
            .header("host", "grape-operator-webhook.ops.svc")
            .header("accept", "application/json, */*")
            .header("content-type", "application/json")
            .header("user-agent", "kube-apiserver-admission")
            .body(Full::from(question))?;
        let response = self.requests.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&answer));
        Ok(answer)
    }
}
