//! A distributed exchange: a server numbers the orders, and each client keeps an order book.

use grape_tests::grape::Kind;
use grape_tests::network::{Network, Shape};
use grape_tests::scenarios::exchange;
use rstest::rstest;
use serde_json::json;

use crate::{Service, known};

#[rstest]
#[case::npm([Kind::Npm, Kind::Npm], "http")]
#[case::ours([Kind::Ours, Kind::Ours], "http")]
#[case::both([Kind::Npm, Kind::Ours], "http")]
#[case::npm_by_websocket([Kind::Npm, Kind::Npm], "ws")]
#[case::ours_by_websocket([Kind::Ours, Kind::Ours], "ws")]
#[tokio::test]
async fn all_books_are_equal_in_the_end(#[case] kinds: [Kind; 2], #[case] transport: &str) {
    let network = Network::start(Shape::Mesh, &kinds).await.unwrap();
    let (first, second) = (&network.grapes[0], &network.grapes[1]);
    let more = json!({ "transport": transport });
    let server = Service::start("the server", "exchange_server.js", first, more).await;
    let mut clients = Vec::new();
    for number in 0..exchange::CLIENTS {
        let grape = if number % 2 == 0 { first } else { second };
        let more = exchange::client(number, transport);
        let name = format!("client {number}");
        clients.push(Service::start(&name, "exchange_client.js", grape, more).await);
    }
    known(first, "exchange:book", &clients).await;
    known(second, "exchange:orders", std::slice::from_ref(&server)).await;
    known(first, "exchange:orders", std::slice::from_ref(&server)).await;

    exchange::all_books_are_equal(&mut clients).await.unwrap();
}
