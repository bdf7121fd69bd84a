//! A distributed exchange: a server numbers the orders, and each client keeps an order book.

use std::collections::BTreeMap;

use grape_tests::grape::Kind;
use grape_tests::network::{Network, Shape};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{Service, known};

const CLIENTS: usize = 4;
/// Orders of each client.
const ORDERS: usize = 25;

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
    for number in 0..CLIENTS {
        let grape = if number % 2 == 0 { first } else { second };
        let more = json!({
            "transport": transport,
            "seed": 1000 + number,
            "orders": ORDERS,
            "total": ORDERS * CLIENTS,
            "books": CLIENTS,
        });
        let name = format!("client {number}");
        clients.push(Service::start(&name, "exchange_client.js", grape, more).await);
    }
    known(first, "exchange:book", &clients).await;
    known(second, "exchange:orders", std::slice::from_ref(&server)).await;
    known(first, "exchange:orders", std::slice::from_ref(&server)).await;

    for client in &mut clients {
        client.tell(json!("go")).await;
    }
    let (mut books, mut submitted) = (Vec::new(), Totals::default());
    for client in &mut clients {
        for _ in 0..ORDERS {
            submitted.add(&client.event("order").await, 1);
        }
    }
    for client in &mut clients {
        let mut book = client.event("book").await;
        book["event"].take();
        books.push(book);
    }
    let book = &books[0];
    for (number, other) in books.iter().enumerate() {
        assert_eq!(other, book, "the book of client {number} is another than that of client 0");
    }
    balanced(book, submitted);
}

/// Quantities by order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals(BTreeMap<String, i64>);

impl Totals {
    fn add(&mut self, order: &Value, sign: i64) {
        let id = order["id"].as_str().unwrap().to_owned();
        *self.0.entry(id).or_default() += sign * order["quantity"].as_i64().unwrap();
    }
}

/// What was submitted is what was traded, on both sides, and what is left.
fn balanced(book: &Value, mut submitted: Totals) {
    let list = |name: &str| book[name].as_array().unwrap().clone();
    let (bids, asks, trades) = (list("bids"), list("asks"), list("trades"));
    assert!(!trades.is_empty() && bids.len() + asks.len() > 0, "nothing happened: {book}");
    for trade in &trades {
        for side in ["taker", "maker"] {
            submitted.add(&json!({ "id": trade[side], "quantity": trade["quantity"] }), -1);
        }
    }
    for left in bids.iter().chain(&asks) {
        submitted.add(left, -1);
    }
    submitted.0.retain(|_, left| *left != 0);
    assert_eq!(submitted, Totals::default(), "orders with more or less than was submitted");
    let price = |order: Option<&Value>| order.and_then(|order| order["price"].as_i64());
    if let (Some(bid), Some(ask)) = (price(bids.first()), price(asks.first())) {
        assert!(bid < ask, "the best bid {bid} meets the best ask {ask}");
    }
}
