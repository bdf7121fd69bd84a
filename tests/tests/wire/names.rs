//! Names: announced at one node, looked up at every other.

use std::collections::BTreeSet;

use grape_tests::grape::{Kind, Options};
use grape_tests::network::{Network, Shape, kinds};
use rstest::rstest;

fn peers(ports: impl IntoIterator<Item = u16>) -> BTreeSet<String> {
    ports.into_iter().map(|port| format!("127.0.0.1:{port}")).collect()
}

/// Every ordered pair: also the node that announced finds itself.
async fn every_node_finds_every_name(network: &Network, name: impl Fn(usize) -> String) {
    let port = |own: usize| 7000 + own as u16;
    for (own, grape) in network.grapes.iter().enumerate() {
        let nodes = grape.announce(&name(own), port(own)).await.unwrap();
        // Ours does not wait for a node that is slow to answer.
        let others = network.grapes.len() as u64 - 1;
        assert!((1..=others).contains(&nodes), "{nodes} nodes hold {}", name(own));
    }
    let mut wrong = Vec::new();
    for (asked, grape) in network.grapes.iter().enumerate() {
        for own in 0..network.grapes.len() {
            let found = grape.lookup(&name(own)).await.unwrap();
            if found != peers([port(own)]) {
                wrong.push(format!("node {asked} looked up what node {own} announced: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// npm's Grape reads messages that name a network, and names none: it goes on with ours.
#[rstest]
#[case::theirs_first("noo")]
#[case::ours_first("ono")]
#[tokio::test]
async fn npms_grapes_and_ours_of_a_network(#[case] nodes: &str) {
    let flags = vec!["--network=prod.market".to_owned()];
    let options = Options { flags, ..Options::default() };
    let kinds = kinds(nodes).unwrap();
    let network = Network::start_with(Shape::Star, &kinds, &options).await.unwrap();
    every_node_finds_every_name(&network, |own| format!("service:of:{own}")).await;
}

#[rstest]
// The control.
#[case::star_nnn(Shape::Star, "nnn")]
#[case::ring_nnnnn(Shape::Ring, "nnnnn")]
// Ours joins theirs, theirs joins ours.
#[case::star_noo(Shape::Star, "noo")]
#[case::star_onn(Shape::Star, "onn")]
#[case::star_non(Shape::Star, "non")]
#[case::star_ono(Shape::Star, "ono")]
#[case::ring_ono(Shape::Ring, "ono")]
#[case::ring_noonn(Shape::Ring, "noonn")]
#[case::mesh_onno(Shape::Mesh, "onno")]
#[case::star_onononon(Shape::Star, "onononon")]
#[case::star_nonononononn(Shape::Star, "nonononononn")]
#[case::ring_oooonnnnoooo(Shape::Ring, "oooonnnnoooo")]
#[case::mesh_onnonnonnonn(Shape::Mesh, "onnonnonnonn")]
// Ours alone.
#[case::star_ooo(Shape::Star, "ooo")]
#[case::ring_ooooo(Shape::Ring, "ooooo")]
#[case::mesh_oooooooooooo(Shape::Mesh, "oooooooooooo")]
#[tokio::test]
async fn every_pair(#[case] shape: Shape, #[case] nodes: &str) {
    let network = Network::of(shape, nodes).await.unwrap();
    every_node_finds_every_name(&network, |own| format!("service:of:{own}")).await;
}

#[rstest]
#[tokio::test]
async fn several_ports_of_one_name_on_one_grape(
    #[values("nnn", "ono", "non", "noon", "ooo")] nodes: &str,
) {
    let network = Network::of(Shape::Star, nodes).await.unwrap();
    let mut announced = BTreeSet::new();
    for (own, grape) in network.grapes.iter().enumerate() {
        // All nodes announce the one name, so that each adds to what others hold of it.
        for port in [7100, 7110, 7120].map(|port| port + own as u16) {
            grape.announce("common", port).await.unwrap();
            announced.extend(peers([port]));
        }
    }
    for grape in &network.grapes {
        assert_eq!(grape.lookup("common").await.unwrap(), announced, "{grape}");
    }
}

#[rstest]
#[case::one_byte(|own: usize| char::from(b'a' + own as u8).to_string())]
#[case::twenty_bytes(|own: usize| format!("{own:020}"))]
#[case::twenty_one_bytes(|own: usize| format!("{own:021}"))]
#[case::three_hundred_bytes(|own: usize| format!("{own:0300}"))]
#[case::not_ascii(|own: usize| format!("größe:日本:🍇:{own}"))]
#[case::beginnings_of_each_other(|own: usize| "prefix".repeat(own + 1))]
#[case::differing_in_the_last_of_300_bytes(|own: usize| format!("{}{own}", "n".repeat(299)))]
#[tokio::test]
async fn names_of_all_kinds(
    #[case] name: fn(usize) -> String,
    #[values("nnn", "onno", "noon", "ooo")] nodes: &str,
) {
    let network = Network::of(Shape::Star, nodes).await.unwrap();
    every_node_finds_every_name(&network, name).await;
}

/// A node that joins later finds what was announced before, and is found by all.
#[rstest]
#[tokio::test]
async fn who_comes_late(#[values("nnn", "onn", "noo", "ono", "ooo")] nodes: &str) {
    let mut network = Network::of(Shape::Star, nodes).await.unwrap();
    network.grapes[1].announce("before", 7201).await.unwrap();
    let has = |kind| kinds(nodes).unwrap().contains(&kind);
    for late in [Kind::Ours, Kind::Npm].into_iter().filter(|kind| has(*kind)) {
        network.join(late).await.unwrap();
        let newest = network.grapes.last().unwrap();
        assert_eq!(newest.lookup("before").await.unwrap(), peers([7201]), "{newest}");
        let name = format!("after:{late}");
        newest.announce(&name, 7202).await.unwrap();
        for grape in &network.grapes {
            assert_eq!(grape.lookup(&name).await.unwrap(), peers([7202]), "{grape}");
        }
    }
}
