//! Prices that are published under their names, and looked up from a third pod.

use grape_tests::kubernetes::Operator;
use serde_json::json;

use super::stage::Stage;

const NAMES: [&str; 2] = ["public:trade:bitfinex", "public:trade:bitstamp"];

#[tokio::test]
async fn each_is_found_under_its_name_and_no_other() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "prices").await;
    let pods = ["bitfinex", "bitstamp"];
    for (zone, (pod, name)) in pods.iter().zip(NAMES).enumerate() {
        stage.start(pod, zone, "rpc_server.js", json!({"name": name})).await;
    }
    let mut third = stage.watch("third", 1, &NAMES).await;
    for (pod, name) in pods.iter().zip(NAMES) {
        let service = stage.announced(pod).await;
        third.until(name, &[service.peer()]).await;
    }
}
