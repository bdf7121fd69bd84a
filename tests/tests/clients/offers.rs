//! Traders who offer to each other: all announce `common`, each a name of its own, on one Grape.

use anyhow::Context;
use grape_tests::grape::Kind;
use grape_tests::network::{Network, Shape};
use grape_tests::scenarios::offers::{self, NAMES};
use rstest::rstest;
use serde_json::json;

use crate::{Service, known};

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
    let done = offers::accepted_and_closed(&mut services).await;
    done.with_context(|| format!("through {grape}")).unwrap();
}
