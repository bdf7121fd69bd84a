//! Traders who offer to each other: all announce `common`, each a name of its own, on one Grape.

use grape_tests::grape::{Grape, Kind};
use grape_tests::network::{Network, Shape};
use rstest::rstest;
use serde_json::json;

use crate::{Service, known};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// npm's Grape can do nothing when it is alone, so that it has another beside it; ours can.
#[rstest]
#[case::npm(&[Kind::Npm, Kind::Npm], 3)]
#[case::npm_with_four(&[Kind::Npm, Kind::Npm], 4)]
#[case::ours(&[Kind::Ours, Kind::Ours], 3)]
#[case::ours_with_four(&[Kind::Ours, Kind::Ours], 4)]
#[case::ours_beside_npms(&[Kind::Ours, Kind::Npm], 4)]
#[case::npms_beside_ours(&[Kind::Npm, Kind::Ours], 4)]
#[case::ours_alone(&[Kind::Ours], 4)]
#[tokio::test]
async fn an_offer_is_made_accepted_and_closed(#[case] kinds: &[Kind], #[case] traders: usize) {
    let network = Network::start(Shape::Star, kinds).await.unwrap();
    let grape = &network.grapes[0];
    let mut services = Vec::new();
    for name in &NAMES[..traders] {
        services.push(Service::start(name, "trader.js", grape, json!({})).await);
    }
    known(grape, "common", &services).await;
    for (name, service) in NAMES.iter().zip(&services) {
        known(grape, &format!("trader:{name}"), std::slice::from_ref(service)).await;
    }
    offer(&mut services, grape).await;
}

async fn offer(services: &mut [Service], grape: &Grape) {
    let text = "1 BTC for 60000 USD";
    services[0].tell(json!({ "do": "offer", "id": "offer-1", "text": text })).await;
    for service in &mut *services {
        let offered = service.event("offered").await;
        assert_eq!(offered["maker"], "trader:alice");
        assert_eq!(offered["text"], text);
    }
    // Two accept at once; the offerer gives it to one of them.
    services[1].tell(json!({ "do": "accept", "id": "offer-1" })).await;
    services[2].tell(json!({ "do": "accept", "id": "offer-1" })).await;
    let bobs = services[1].event("accepted").await;
    let carols = services[2].event("accepted").await;
    let (yours, closed) = (json!("yours"), json!("ERR_OFFER_CLOSED"));
    let winner = match (&bobs["result"], &carols["result"]) {
        (result, _) if *result == yours && carols["error"] == closed => "trader:bob",
        (_, result) if *result == yours && bobs["error"] == closed => "trader:carol",
        _ => panic!("through {grape}: bob got {bobs}, carol got {carols}"),
    };
    for service in &mut *services {
        assert_eq!(service.event("closed").await["taker"], winner);
    }
    let all = services.len();
    for kind in ["offer", "close"] {
        let broadcast = services[0].event("broadcast").await;
        assert_eq!(broadcast["type"], kind);
        assert_eq!(broadcast["answers"], json!(vec!["seen"; all]), "{broadcast}");
    }
}
