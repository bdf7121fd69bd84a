//! Traders in four pods, who all announce `common`, and each a name of its own.

use grape_tests::kubernetes::Operator;
use grape_tests::scenarios::offers::{self, NAMES};
use serde_json::json;

use super::stage::{Service, Stage};

#[tokio::test]
async fn an_offer_is_made_accepted_and_closed() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "offers").await;
    for (number, name) in NAMES.iter().enumerate() {
        stage.start(name, number % 2, "trader.js", json!({})).await;
    }
    let mut traders = Vec::new();
    for name in NAMES {
        traders.push(stage.announced(name).await);
    }
    let peers: Vec<_> = traders.iter().map(Service::peer).collect();
    let alice = NAMES[0];
    stage.until_found(alice, "common", &peers).await;
    for other in &NAMES[1..] {
        stage.until_found(other, &format!("trader:{alice}"), &peers[..1]).await;
    }
    offers::accepted_and_closed(&mut traders).await.unwrap();
}
