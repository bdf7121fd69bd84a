//! mainline's own nodes, which neither we nor Bitfinex wrote, in a network with Grapes.
//!
//! Their names have 20 bytes: an info hash, which a Grape takes for a name as it is. npm's Grape is
//! the control, but cannot join through one: mainline answers no transaction id of 2 bytes.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::ensure;
use futures_util::StreamExt;
use grape_tests::grape::{Grape, Kind};
use grape_tests::items::Author;
use grape_tests::network::{Network, Shape};
use grape_tests::ports::Port;
use grape_tests::wait;
use mainline::async_dht::AsyncDht;
use mainline::{Dht, Id, MutableItem};
use rstest::rstest;
use serde_json::json;

/// How mainline's node takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It is asked like any other, and joins through a Grape.
    Server,
    /// It asks, and is not asked.
    Client,
    /// The Grapes join through it.
    Seed,
}

struct Mixed {
    node: AsyncDht,
    network: Network,
    // Taken as long as the node has it.
    _port: Port,
}

impl Mixed {
    async fn start(kind: Kind, role: Role) -> Self {
        let port = Port::take().unwrap();
        let mut builder = Dht::builder();
        builder.port(port.number()).bind_address(Ipv4Addr::LOCALHOST);
        if role == Role::Seed {
            let node = builder.server_mode().no_bootstrap().build().unwrap().as_async();
            let network = Network::start_through(port.number(), &[kind; 2]).await.unwrap();
            return Self { node, network, _port: port };
        }
        let network = Network::start(Shape::Star, &[kind; 2]).await.unwrap();
        let through = network.grapes.iter().map(|grape| ("127.0.0.1", grape.dht_port()));
        builder.bootstrap(&through.collect::<Vec<_>>());
        if role == Role::Server {
            builder.server_mode();
        }
        let node = builder.build().unwrap().as_async();
        wait::until("mainline's node has joined", async || {
            ensure!(node.bootstrapped().await, "not bootstrapped");
            Ok(())
        })
        .await
        .unwrap();
        Self { node, network, _port: port }
    }

    fn grapes(&self) -> &[Grape] {
        &self.network.grapes
    }
}

#[rstest]
#[case::npms_with_a_server(Kind::Npm, Role::Server)]
#[case::npms_with_a_client(Kind::Npm, Role::Client)]
#[case::ours_with_a_server(Kind::Ours, Role::Server)]
#[case::ours_with_a_client(Kind::Ours, Role::Client)]
#[case::ours_with_a_seed(Kind::Ours, Role::Seed)]
#[tokio::test]
async fn peers_are_found_both_ways(#[case] kind: Kind, #[case] role: Role) {
    let mixed = Mixed::start(kind, role).await;
    let name = "announced:by:anyone:";
    mixed.node.announce_peer(Id::from_bytes(name).unwrap(), Some(7501)).await.unwrap();
    for grape in mixed.grapes() {
        let found = grape.lookup(name).await.unwrap();
        assert_eq!(found, BTreeSet::from(["127.0.0.1:7501".to_owned()]), "{grape}");
    }
    for (own, grape) in mixed.grapes().iter().enumerate() {
        let (name, port) = (format!("announced:by:grape:{own}"), 7510 + own as u16);
        grape.announce(&name, port).await.unwrap();
        let answers = mixed.node.get_peers(Id::from_bytes(name).unwrap());
        let found: Vec<_> = answers.collect::<Vec<_>>().await.concat();
        assert!(
            !found.is_empty()
                && found.iter().all(|peer| peer.to_string() == format!("127.0.0.1:{port}")),
            "mainline's node found {found:?}"
        );
    }
}

#[rstest]
#[case::npms_with_a_server(Kind::Npm, Role::Server)]
#[case::npms_with_a_client(Kind::Npm, Role::Client)]
#[case::ours_with_a_server(Kind::Ours, Role::Server)]
#[case::ours_with_a_client(Kind::Ours, Role::Client)]
#[case::ours_with_a_seed(Kind::Ours, Role::Seed)]
#[tokio::test]
async fn immutable_items_are_got_both_ways(#[case] kind: Kind, #[case] role: Role) {
    let mixed = Mixed::start(kind, role).await;
    let id = mixed.node.put_immutable(b"of mainline").await.unwrap();
    for (own, grape) in mixed.grapes().iter().enumerate() {
        let item = grape.get(json!(id.to_string())).await.unwrap().unwrap_or_default();
        assert_eq!(item["v"], "of mainline", "{grape}");
        let value = format!("of grape {own}");
        let id = grape.put(json!(value)).await.unwrap();
        let got = mixed.node.get_immutable(id.parse().unwrap()).await;
        assert_eq!(got.as_deref(), Some(value.as_bytes()), "mainline's node got it of {grape}");
    }
}

#[rstest]
#[case::npms_with_a_server(Kind::Npm, Role::Server)]
#[case::npms_with_a_client(Kind::Npm, Role::Client)]
#[case::ours_with_a_server(Kind::Ours, Role::Server)]
#[case::ours_with_a_client(Kind::Ours, Role::Client)]
#[case::ours_with_a_seed(Kind::Ours, Role::Seed)]
#[tokio::test]
async fn mutable_items_are_got_both_ways(
    #[case] kind: Kind,
    #[case] role: Role,
    #[values("", "books")] salt: &str,
) {
    let mixed = Mixed::start(kind, role).await;
    let author = Author::new(21);
    let key = author.signing_key().verifying_key().to_bytes();
    let salt_bytes = (!salt.is_empty()).then_some(salt.as_bytes());
    let id = hex::encode(MutableItem::target_from_key(&key, salt_bytes).as_bytes());
    let mut seq = 1;
    for (own, grape) in mixed.grapes().iter().enumerate() {
        let signer = author.signing_key().clone();
        let value = format!("of mainline {own}");
        let item = MutableItem::new(signer, value.as_bytes(), seq, salt_bytes);
        mixed.node.put_mutable(item, None).await.unwrap();
        for asked in mixed.grapes() {
            let question = json!({ "hash": id, "salt": salt });
            let got = asked.get(question).await.unwrap().unwrap_or_default();
            assert_eq!(
                (got["v"].as_str(), got["seq"].as_i64()),
                (Some(value.as_str()), Some(seq)),
                "{asked}"
            );
        }
        let value = format!("of grape {own}");
        grape.put(author.item(&value, seq + 1, salt)).await.unwrap();
        let got = mixed.node.get_mutable_most_recent(&key, salt_bytes).await.unwrap();
        assert_eq!((got.value(), got.seq()), (value.as_bytes(), seq + 1), "put at {grape}");
        seq += 2;
    }
}
