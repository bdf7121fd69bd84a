//! It ends with its test, and so do all its processes.

use std::fs;

use grape_tests::kubernetes::ApiServer;
use grape_tests::wait;

#[tokio::test]
async fn servers_beside_each_other_end_without_a_trace() {
    let (one, other) = tokio::join!(ApiServer::start(), ApiServer::start());
    let (one, other) = (one.unwrap(), other.unwrap());
    let version = one.client().apiserver_version().await.unwrap();
    assert_eq!(version.major, "1");
    let folder = |server: &ApiServer| {
        server.kubeconfig().ancestors().nth(2).unwrap().to_str().unwrap().to_owned()
    };
    let (gone, stays) = (folder(&one), folder(&other));
    assert_ne!(gone, stays);
    assert!(processes_of(&gone) >= 2, "etcd and the API server are of {gone}");
    drop(one);
    ended(&gone).await;
    other.client().apiserver_version().await.unwrap();
    drop(other);
    ended(&stays).await;
}

async fn ended(folder: &str) {
    wait::until("its processes end", async || match processes_of(folder) {
        0 => Ok(()),
        count => Err(format!("{count} are left")),
    })
    .await
    .unwrap();
    assert!(!fs::exists(folder).unwrap(), "{folder} is left");
}

/// Those that have the server's own folder on their command line.
fn processes_of(folder: &str) -> usize {
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        fs::read(entry.ok()?.path().join("cmdline")).ok()
    });
    commands.filter(|command| String::from_utf8_lossy(command).contains(folder)).count()
}
