//! Stored items.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use grape_engine::krpc::{Method, Put};

use super::floods::nested;
use crate::attack::{Attack, Outcome};
use crate::node::{Node, random_id};
use crate::site::{Ground, Site};

pub(super) fn attacks() -> Vec<Attack> {
    vec![Attack {
        name: "nested-items",
        title: "5,000 items of 999 bytes, nested deep, at each Grape",
        run: |ground| Box::pin(nested_items(ground)),
    }]
}

/// Stores an item at a node. Returns its target: the SHA-1 of the value.
pub(super) async fn put(node: &Node, to: SocketAddr, value: &[u8]) -> Result<[u8; 20]> {
    let target = sha1_smol::Sha1::from(value).digest().bytes();
    let told = node.ask(to, Method::Get { target: target.to_vec().into(), seq: None }).await?;
    ensure!(!told.token.is_empty(), "no write token from {to}");
    let (token, value) = (told.token.into(), value.into());
    let put = Put { token, value, signed: None, cas: None };
    node.ask(to, Method::Put(Box::new(put))).await?;
    Ok(target)
}

/// Stores so many items at each node, from several addresses.
pub(super) async fn fill(ground: Ground, to: &[SocketAddr], count: u64) -> Result<u64> {
    let lanes = (0..16).map(async |lane: u8| {
        let node = Node::polite(ground.at(230, 7000 + u16::from(lane)), random_id()).await?;
        // A node that has answered gets whole answers.
        node.greet(to).await?;
        let mut stored = 0;
        for n in (u64::from(lane)..count).step_by(16) {
            let value = nested(n);
            for each in to {
                // Refused where there is no room for more of one host.
                stored += u64::from(put(&node, *each, &value).await.is_ok());
            }
        }
        anyhow::Ok(stored)
    });
    Ok(try_join_all(lanes).await?.into_iter().sum())
}

async fn nested_items(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let to = site.addresses();
    let count = ground.pick(5_000, 500);
    let (stored, observed) = site.during(fill(ground, &to, count)).await?;
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{stored} puts, {seconds:.0} s"));
    observed.judge(&mut outcome);
    let items = observed.after.sum("grape_dht_items");
    outcome.must("≤ 5,000 items are stored", format!("{items}"), (1.0..=5000.0).contains(&items));
    Ok(outcome)
}
