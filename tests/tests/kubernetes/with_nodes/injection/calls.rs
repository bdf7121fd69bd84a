//! A service that is called from a pod on the other node.

use grape_tests::kubernetes::Operator;
use rstest::rstest;
use serde_json::{Value, json};

use super::stage::Stage;

#[rstest]
#[case("http")]
#[case("ws")]
#[tokio::test]
async fn a_service_is_called_through_its_own_grape(#[case] transport: &str) {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "calls").await;
    let served = json!({"name": "rpc_test", "transport": transport});
    stage.start("server", 0, "rpc_server.js", served).await;
    stage.announced("server").await;

    let asked =
        json!({"names": ["rpc_test"], "payload": {"hello": "there"}, "transport": transport});
    let told = stage.run("client", 1, "rpc_client.js", asked).await;
    let reply: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(reply["error"], Value::Null, "{told}");
    assert_eq!(reply["result"], json!({"service": "rpc_test", "payload": {"hello": "there"}}));
}
