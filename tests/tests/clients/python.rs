//! The programs in Python that the pages show: a function that asks a Grape, and a service that
//! follows a group.

use std::process::Command;

use grape_tests::grape::{Grape, Kind, Options};
use grape_tests::network::{Network, Shape};
use grape_tests::process::Process;
use grape_tests::{pages, programs};
use serde_json::json;

use crate::share;

const USE: &str = r#"
import sys
grape = sys.argv[1]
assert ask("announce", ["rpc_test", 1337], grape) == 1
assert ask("lookup", "rpc_test", grape) == ["127.0.0.1:1337"]
hash = ask("put", {"v": "hello"}, grape)
assert ask("get", hash, grape)["v"] == "hello"
assert ask("get", "0" * 40, grape) is None
refused = []
for verb, data in [("announce", ["rpc_test", "1337"]), ("lookup", ""), ("put", {}), ("nothing", 1)]:
    try:
        ask(verb, data, grape)
    except ValueError as error:
        refused.append(str(error))
wanted = ["ERR_GRAPE_SERVICE_PORT", "ERR_GRAPE_LOOKUP", "opts.v not given", "ERR_REQ_NOTFOUND"]
assert refused == wanted, refused
"#;

#[tokio::test]
async fn the_function_on_the_page_works() {
    let program = format!("{}{USE}", pages::program("http-api.md", "python").unwrap());
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", &program, &network.grapes[0].url()]);
    let output = tokio::task::spawn_blocking(move || python.output()).await.unwrap();
    let output = output.expect("python3 is missing: apt-get install -y python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_service_on_the_page_follows_a_group_also_after_its_grape_has_started_again() {
    let mut network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let (there, here) = (network.grapes.pop().unwrap(), network.grapes.pop().unwrap());
    share(&there, "1").await;
    let program = pages::program("gossip.md", "python").unwrap();
    let program = program.replace("http://127.0.0.1:30001", &here.url());
    let mut python = tokio::process::Command::new("python3");
    let mut python = Process::start("follow", python.args(["-c", &program])).unwrap();
    let peer = json!(format!("127.0.0.1:{}", there.dht_port()));
    let new = programs::event(&mut python, "new_peer").await.unwrap();
    assert_eq!(new["peer"], peer);
    let update = programs::event(&mut python, "update").await.unwrap();
    assert_eq!(update, json!({"event": "update", "peer": peer, "key": "load", "value": 1}));

    let options = Options { bootstrap: vec![there.dht_port()], ..Options::default() };
    let seat = here.kill().await.unwrap();
    let _here = Grape::start(Kind::Ours, seat, &options).await.unwrap();
    let new = programs::event(&mut python, "new_peer").await.unwrap();
    assert_eq!(new["peer"], peer);
    share(&there, "2").await;
    loop {
        let update = programs::event(&mut python, "update").await.unwrap();
        if update["value"] == 2 {
            break;
        }
    }
}
