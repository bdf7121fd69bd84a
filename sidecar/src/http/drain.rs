//! `POST /drain`: withdraws all that was announced here, and holds further announces back, while
//! lookups go on. For who is on this host alone: what stops a service's container, say.

use std::net::{IpAddr, SocketAddr};

use hyper::{Method, Request, StatusCode};
use tracing::info;

use super::Api;
use super::reply::Reply;

/// Whether a request asks for a drain.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/drain"
}

/// Drains what is announced here, if `peer` may ask for that.
pub(crate) async fn call(api: &Api, peer: SocketAddr) -> Reply {
    if !is_of_this_host(peer.ip()) {
        return Reply::refused(
            StatusCode::FORBIDDEN,
            &format!(
                "only a peer on loopback may drain a Grape, and this is {}: ask from within its \
                 host or pod",
                peer.ip().to_canonical()
            ),
        );
    }
    let drained = api.services.drain(api.drain_timeout).await;
    info!(
        withdrawn = drained.withdrawn,
        complete = drained.complete,
        "drained on request: this Grape accepts no announce until it restarts"
    );
    serde_json::to_vec(&drained).map_or_else(
        |error| Reply::refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Reply::ok,
    )
}

fn is_of_this_host(peer: IpAddr) -> bool {
    // A listener for both families sees IPv4 as ::ffff:127.0.0.1.
    peer.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1", true)]
    #[case("127.8.9.10", true)]
    #[case("::1", true)]
    #[case("::ffff:127.0.0.1", true)]
    #[case("::ffff:10.0.0.1", false)]
    #[case("10.0.0.1", false)]
    #[case("0.0.0.0", false)]
    #[case("::", false)]
    #[case("fd00::1", false)]
    fn only_loopback_is_this_host(#[case] peer: &str, #[case] here: bool) {
        assert_eq!(is_of_this_host(peer.parse().unwrap()), here);
    }
}
