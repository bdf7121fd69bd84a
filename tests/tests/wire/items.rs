//! BEP 44 items: put at one node, got at every other.

use grape_tests::grape::{Grape, Kind};
use grape_tests::items::{Author, with};
use grape_tests::network::{Network, Shape};
use rstest::rstest;
use serde_json::{Value, json};

async fn get(grape: &Grape, id: &str, salt: &str) -> Option<Value> {
    let question = if salt.is_empty() { json!(id) } else { json!({ "hash": id, "salt": salt }) };
    grape.get(question).await.unwrap()
}

fn text(item: &Option<Value>) -> Option<&str> {
    item.as_ref()?["v"].as_str()
}

#[rstest]
#[tokio::test]
async fn immutable_items_are_got_everywhere(
    #[values("nnn", "onn", "noo", "noonon", "ooo")] nodes: &str,
) {
    let network = Network::of(Shape::Star, nodes).await.unwrap();
    for (own, putter) in network.grapes.iter().enumerate() {
        for value in ["", "small", &"v".repeat(999), "größe:日本:🍇"] {
            let value = if value.len() == 999 { value.to_owned() } else { format!("{value}{own}") };
            let id = putter.put(json!({ "v": value })).await.unwrap();
            for asked in &network.grapes {
                let item = get(asked, &id, "").await;
                assert_eq!(text(&item), Some(value.as_str()), "put at {putter}, got at {asked}");
            }
        }
    }
}

/// As JSON in a text. npm's makes other texts of them (`[object Object]`), so only ours are asked.
#[rstest]
#[tokio::test]
async fn items_that_are_no_text_are_got_as_they_were(#[values("ono", "noon", "ooo")] nodes: &str) {
    let network = Network::of(Shape::Star, nodes).await.unwrap();
    for (own, putter) in network.grapes.iter().enumerate() {
        let own = own as u64 + 1;
        for value in [json!(own), json!([own, "two", [3]]), json!({ "b": own, "a": { "c": [] } })] {
            let id = putter.put(json!({ "v": value })).await.unwrap();
            for asked in network.grapes.iter().filter(|grape| grape.kind() == Kind::Ours) {
                let item = get(asked, &id, "").await;
                let got = serde_json::from_str::<Value>(text(&item).unwrap()).unwrap();
                assert_eq!(got, value, "put at {putter}, got at {asked}");
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn mutable_items_are_got_everywhere_in_their_newest_version(
    #[values("nnn", "onn", "noo", "noonon", "ooo")] nodes: &str,
    #[values("", "books")] salt: &str,
) {
    let network = Network::of(Shape::Star, nodes).await.unwrap();
    let author = Author::new(7);
    let start = 1_700_000_000_000_000;
    for (version, putter) in network.grapes.iter().enumerate() {
        let seq = start + version as i64;
        let value = format!("version {version}");
        let put = author.item(&value, seq, salt);
        let id = putter.put(put.clone()).await.unwrap();
        // An original keeps no copy of what it puts itself, and answers an older one for ever.
        let has_old = |asked: &Grape| asked.kind() == Kind::Npm && asked.id() == putter.id();
        for asked in network.grapes.iter().filter(|asked| version == 0 || !has_old(asked)) {
            let item = get(asked, &id, salt).await.unwrap_or_default();
            for field in ["v", "k", "sig", "seq"] {
                assert_eq!(item[field], put[field], "{field}: put at {putter}, got at {asked}");
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn versions_are_refused_alike(#[values("nnn", "onn", "noo", "noonon", "ooo")] nodes: &str) {
    let network = Network::of(Shape::Star, nodes).await.unwrap();
    for (own, putter) in network.grapes.iter().enumerate() {
        let author = Author::new(10 + own as u8);
        let version = |seq: i64| author.item(&format!("version {seq}"), seq, "");
        let cas = |seq: i64, cas: i64| with(version(seq), "cas", json!(cas));
        let refused = async |item: Value| {
            let reply = putter.call("put", item).await.unwrap();
            (reply.status, reply.body)
        };
        let mismatch = (301, r#""301 CAS mismatch, re-read and try again""#.to_owned());
        let older = (302, r#""302 sequence number less than current""#.to_owned());

        let id = putter.put(cas(5, 4)).await.unwrap();
        assert_eq!(refused(cas(6, 4)).await, mismatch, "cas of a version that never was: {putter}");
        assert_eq!(refused(version(4)).await, older, "an older version: {putter}");
        assert_eq!(refused(cas(4, 5)).await, older, "an older version, right cas: {putter}");
        let other = author.item("another value", 5, "");
        assert_eq!(refused(other).await, older, "another value in the same version: {putter}");
        putter.put(cas(6, 5)).await.unwrap();
        // All others return it to the Grape that asks next, of either kind.
        for asked in &network.grapes {
            let item = get(asked, &id, "").await;
            assert_eq!(text(&item), Some("version 6"), "put at {putter}, got at {asked}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_forged_item_is_stored_nowhere(#[values("nnn", "noo", "onn", "ooo")] nodes: &str) {
    let network = Network::of(Shape::Star, nodes).await.unwrap();
    let [author, forger] = [8, 9].map(Author::new);
    let id = network.grapes[0].put(author.item("true", 1, "")).await.unwrap();
    for putter in &network.grapes {
        let forged = with(forger.item("forged", 2, ""), "k", json!(author.key()));
        let reply = putter.call("put", forged).await.unwrap();
        assert!(reply.json().unwrap().as_str() != Some(&id), "{putter} stored it: {reply:?}");
        for asked in &network.grapes {
            assert_eq!(text(&get(asked, &id, "").await), Some("true"), "{asked}");
        }
    }
}
