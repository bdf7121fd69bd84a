//! A distributed exchange: a server numbers the orders, and each client keeps an order book.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::programs::Talks;

/// How many clients there are.
pub const CLIENTS: usize = 4;
/// Orders of each client.
pub const ORDERS: usize = 25;

/// The arguments of the client of a number, beside its Grape and its port.
pub fn client(number: usize, transport: &str) -> Value {
    json!({
        "transport": transport,
        "seed": 1000 + number,
        "orders": ORDERS,
        "total": ORDERS * CLIENTS,
        "books": CLIENTS,
    })
}

/// All clients submit their orders at once; in the end their books are equal.
///
/// # Errors
/// When they are not, or an order is lost, or made twice.
pub async fn all_books_are_equal(clients: &mut [impl Talks]) -> Result<()> {
    for client in &mut *clients {
        client.tell(json!("go")).await?;
    }
    let (mut books, mut submitted) = (Vec::new(), Totals::default());
    for client in &mut *clients {
        for _ in 0..ORDERS {
            submitted.add(&client.event("order").await?, 1)?;
        }
    }
    for client in &mut *clients {
        let mut book = client.event("book").await?;
        book["event"].take();
        books.push(book);
    }
    let book = &books[0];
    for (number, other) in books.iter().enumerate() {
        ensure!(other == book, "the book of client {number} is {other}, that of client 0 {book}");
    }
    balanced(book, submitted)
}

/// Quantities by order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals(BTreeMap<String, i64>);

impl Totals {
    fn add(&mut self, order: &Value, sign: i64) -> Result<()> {
        let id = order["id"].as_str().with_context(|| format!("no id: {order}"))?;
        let quantity = order["quantity"].as_i64().with_context(|| format!("no number: {order}"))?;
        *self.0.entry(id.to_owned()).or_default() += sign * quantity;
        Ok(())
    }
}

/// What was submitted is what was traded, on both sides, and what is left.
fn balanced(book: &Value, mut submitted: Totals) -> Result<()> {
    let list = |name: &str| book[name].as_array().cloned().unwrap_or_default();
    let (bids, asks, trades) = (list("bids"), list("asks"), list("trades"));
    ensure!(!trades.is_empty() && bids.len() + asks.len() > 0, "nothing happened: {book}");
    for trade in &trades {
        for side in ["taker", "maker"] {
            let part = json!({ "id": trade[side], "quantity": trade["quantity"] });
            submitted.add(&part, -1)?;
        }
    }
    for left in bids.iter().chain(&asks) {
        submitted.add(left, -1)?;
    }
    submitted.0.retain(|_, left| *left != 0);
    ensure!(submitted == Totals::default(), "more or less than was submitted: {submitted:?}");
    let price = |order: Option<&Value>| order.and_then(|order| order["price"].as_i64());
    if let (Some(bid), Some(ask)) = (price(bids.first()), price(asks.first())) {
        ensure!(bid < ask, "the best bid {bid} meets the best ask {ask}");
    }
    Ok(())
}
