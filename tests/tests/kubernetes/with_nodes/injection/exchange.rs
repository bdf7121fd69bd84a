//! A distributed exchange of a server and four clients, each in a pod.

use grape_tests::kubernetes::Operator;
use grape_tests::scenarios::exchange;
use serde_json::json;

use super::stage::{Service, Stage};

#[tokio::test]
async fn all_books_are_equal_in_the_end() {
    let operator = Operator::shared().await.unwrap();
    let stage = Stage::new(&operator, "exchange").await;
    stage.start("server", 0, "exchange_server.js", json!({})).await;
    let names: Vec<_> = (0..exchange::CLIENTS).map(|number| format!("client-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let more = exchange::client(number, "http");
        stage.start(name, number % 2, "exchange_client.js", more).await;
    }
    let server = stage.announced("server").await;
    let mut clients = Vec::new();
    for name in &names {
        clients.push(stage.announced(name).await);
    }
    let peers: Vec<_> = clients.iter().map(Service::peer).collect();
    stage.until_found("server", "exchange:book", &peers).await;
    for name in &names {
        stage.until_found(name, "exchange:orders", &[server.peer()]).await;
    }
    exchange::all_books_are_equal(&mut clients).await.unwrap();
}
