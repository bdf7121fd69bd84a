//! The wrapper for Link that `docs/grenache-clients.md` shows: the very lines of the page, over the
//! unchanged package.

use std::fs;
use std::path::Path;

use grape_tests::grape::Kind;
use grape_tests::network::{Network, Shape};
use grape_tests::ports::Port;
use grape_tests::process::Process;
use grape_tests::{figure, programs};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The first block of JavaScript on the page.
fn wrapper() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/grenache-clients.md");
    let page = fs::read_to_string(page).unwrap();
    let block = page.split("```js\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("the page has a block of JavaScript").to_owned()
}

async fn tell(program: &mut Process, command: Value, event: &str) -> Value {
    program.say(&command.to_string()).await.unwrap();
    programs::event(program, event).await.unwrap()
}

#[tokio::test]
async fn a_program_takes_its_service_back_and_waits_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grapes.js");
    fs::write(&file, wrapper()).unwrap();
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let start = |name: &str, place: usize| {
        let argument = json!({ "grape": network.grapes[place].url(), "wrapper": file });
        programs::node(name, "wrapped.js", &argument).unwrap()
    };
    let (mut service, mut client) = (start("the service", 0), start("the client", 1));
    let port = Port::take().unwrap();
    let (name, peer) = ("rpc:wrapped", format!("127.0.0.1:{}", port.number()));

    let silence = json!({ "do": "waitFor", "name": name, "timeout": 300 });
    assert_eq!(tell(&mut client, silence, "waited").await["error"], "ERR_TIMEOUT");
    let wait = json!({ "do": "waitFor", "name": name, "timeout": 30000 });
    client.say(&wait.to_string()).await.unwrap();
    let announce = json!({ "do": "announce", "name": name, "port": port.number() });
    assert_eq!(tell(&mut service, announce, "announced").await["error"], Value::Null);
    let begun = Instant::now();
    let waited = programs::event(&mut client, "waited").await.unwrap();
    assert_eq!((&waited["error"], &waited["peers"]), (&Value::Null, &json!([peer])));
    figure::took("W6: a name that is waited for is found after", begun.elapsed());

    let watch = json!({ "do": "watch", "name": name });
    assert_eq!(tell(&mut client, watch, "peers").await["peers"], json!([peer]));
    let stop = json!({ "do": "stopAnnouncing", "name": name, "port": port.number() });
    tell(&mut service, stop, "stopped").await;
    assert_eq!(network.grapes[1].lookup(name).await.unwrap().len(), 1, "nothing is taken back");
    let withdraw = json!({ "do": "withdraw", "name": name, "port": port.number() });
    let withdrawn = tell(&mut service, withdraw, "withdrawn").await;
    assert_eq!((&withdrawn["error"], &withdrawn["grapes"]), (&Value::Null, &json!(1)));
    assert!(network.grapes[1].lookup(name).await.unwrap().is_empty());
    let changed = programs::event(&mut client, "peers").await.unwrap();
    assert_eq!(changed["peers"], json!([]));
    tell(&mut client, json!({ "do": "unwatch" }), "unwatched").await;

    let wrong = json!({ "do": "withdraw", "name": name, "port": port.number().to_string() });
    let refused = tell(&mut service, wrong, "withdrawn").await;
    assert_eq!(refused["error"], "ERR_GRAPE_SERVICE_PORT", "not taken for success");
}
