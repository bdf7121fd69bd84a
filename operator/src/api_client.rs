//! The way to the API server: kube's own client, on connections whose death is noticed soon.
//!
//! A firewall or a load balancer may drop a connection without a sign. A watch on it would then
//! wait without end. client-go sends HTTP/2 pings; kube's client speaks HTTP/1.1, so TCP
//! keep-alives do it. An idle watch stays open: the other side's kernel answers the keep-alives.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher;
use kube::{Api, Client, Config, Error, Resource};
use tower::ServiceBuilder;
use tower::retry::RetryLayer;

/// The field manager of all that the operator writes.
pub(crate) const MANAGER: &str = "grape-operator";

/// After how long a silence TCP sends a keep-alive, and how often it repeats it.
const ASKED_AFTER: Duration = Duration::from_secs(10);
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// After how many unanswered keep-alives the connection is dead.
const ASKED: u32 = 3;

/// How long sent data may stay unacknowledged. On Linux it bounds the keep-alives too.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(25);

/// A client as `Client::try_from(config)` makes it, whose dead connections are noticed within 30 s.
///
/// # Errors
/// Those of kube: the configuration's credentials or certificates cannot be used, or it asks for a
/// proxy, which this program is built without.
pub(crate) fn connect(config: Config) -> Result<Client, Error> {
    with_idle(config, usize::MAX)
}

/// A client for one request at a time, which keeps one idle connection. If that has died unnoticed,
/// one request fails, and the next one uses a new connection. With more idle connections as many
/// requests could fail in a row, which takes longer than a Lease lasts.
///
/// # Errors
/// As [`connect`].
pub(crate) fn connect_for_one(config: Config) -> Result<Client, Error> {
    with_idle(config, 1)
}

/// A client that keeps at most this many idle connections.
fn with_idle(config: Config, most: usize) -> Result<Client, Error> {
    if config.proxy_url.is_some() {
        // kube's error names the proxies that it was built without.
        return Client::try_from(config);
    }
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp())?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: hyper_util::client::legacy::Client<_, Body> =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(most)
            .build(connector);

    let retries = config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry()));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(retries)
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(tower::BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    // TLS comes on top.
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(ASKED_AFTER));
    tcp.set_keepalive_interval(Some(ASKED_EVERY));
    tcp.set_keepalive_retries(Some(ASKED));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    tcp
}

/// The API of a kind in one namespace, or in all.
pub(crate) fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Whether the API server said that this may not be watched.
pub(crate) fn is_refusal(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(Error::Api(status))
        | watcher::Error::WatchStartFailed(Error::Api(status))
        | watcher::Error::WatchError(status)
        | watcher::Error::WatchFailed(Error::Api(status)) => status.code == 403,
        _ => false,
    }
}
