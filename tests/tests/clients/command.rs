//! The command `grape`, asked of npm's Grapes: as when half a fleet has moved.

use std::process::{Command, Output};

use grape_tests::grape::Kind;
use grape_tests::network::{Network, Shape};
use grape_tests::our_grape;
use rstest::rstest;

async fn ask(network: &Network, arguments: &[&str]) -> Output {
    let mut command = Command::new(our_grape::binary().unwrap());
    command.args(arguments).args(["--grape", &network.grapes[0].url()]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[rstest]
#[case(&["status"], "status")]
#[case(&["withdraw", "rpc_test", "7001"], "withdraw")]
#[case(&["watch", "rpc_test"], "watch")]
#[case(&["drain"], "drain")]
#[tokio::test]
async fn features_that_npms_grape_lacks_are_reported(
    #[case] arguments: &[&str],
    #[case] what: &str,
) {
    let network = Network::start(Shape::Mesh, &[Kind::Npm; 2]).await.unwrap();
    let output = ask(&network, arguments).await;
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    let lacks = format!("is npm's Grape, which has no {what}; lookup, announce, put and get work");
    assert!(told.contains(&lacks), "{told}");
}

#[tokio::test]
async fn features_of_npms_grape_work() {
    let network = Network::start(Shape::Mesh, &[Kind::Npm; 2]).await.unwrap();
    let announced = ask(&network, &["announce", "rpc_test", "7001"]).await;
    assert_eq!(text(&announced.stdout), "announced rpc_test at port 7001, held by 1 other Grape");
    let found = ask(&network, &["lookup", "rpc_test"]).await;
    assert_eq!(text(&found.stdout), "127.0.0.1:7001");
    let hash = text(&ask(&network, &["put", "hello"]).await.stdout);
    assert_eq!(text(&ask(&network, &["get", &hash]).await.stdout), "hello");
}
