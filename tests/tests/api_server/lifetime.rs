//! It ends with its test, and so do all its processes.

use std::fs;
use std::process::{Command, Stdio};

use grape_tests::kubernetes::{ApiServer, access};
use grape_tests::wait;

#[tokio::test]
async fn servers_beside_each_other_end_without_a_trace() {
    if access::existing().unwrap().is_some() {
        eprintln!("NOT TESTED: it is about servers of ours, and USE_EXISTING_CLUSTER is set.");
        return;
    }
    let (one, other) = tokio::join!(ApiServer::start(), ApiServer::start());
    let (one, other) = (one.unwrap(), other.unwrap());
    let version = one.client().apiserver_version().await.unwrap();
    assert_eq!(version.major, "1");
    let (gone, stays) = (folder_of(&one), folder_of(&other));
    assert_ne!(gone, stays);
    assert!(processes_of(&gone) >= 2, "etcd and the API server are of {gone}");
    drop(one);
    ended(&gone).await;
    other.client().apiserver_version().await.unwrap();
    drop(other);
    ended(&stays).await;
}

/// The other half of the next test, in a process of its own.
#[tokio::test]
async fn holds_a_server_while_its_caller_lives() {
    let Some(told) = std::env::var_os(TELL) else { return };
    let server = ApiServer::start().await.unwrap();
    fs::write(&told, folder_of(&server)).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_leaves_no_process() {
    if access::existing().unwrap().is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "lifetime::holds_a_server_while_its_caller_lives"]).env(TELL, &told);
    let mut test = test.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let place = wait::until("the other test has a server", async || fs::read_to_string(&told))
        .await
        .unwrap();
    assert!(processes_of(&place) >= 2);
    test.kill().unwrap();
    test.wait().unwrap();
    wait::until("its processes end", async || none_left(&place)).await.unwrap();
    fs::remove_dir_all(place).unwrap();
}

/// The variable that names the file in which the other test writes where its server is.
const TELL: &str = "GRAPE_TESTS_TELL_SERVER";

fn folder_of(server: &ApiServer) -> String {
    server.kubeconfig().ancestors().nth(2).unwrap().to_str().unwrap().to_owned()
}

async fn ended(folder: &str) {
    wait::until("its processes end", async || none_left(folder)).await.unwrap();
    assert!(!fs::exists(folder).unwrap(), "{folder} is left");
}

fn none_left(folder: &str) -> Result<(), String> {
    match processes_of(folder) {
        0 => Ok(()),
        count => Err(format!("{count} are left")),
    }
}

/// Those that have the server's own folder on their command line.
fn processes_of(folder: &str) -> usize {
    let commands = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    commands.filter(|command| String::from_utf8_lossy(command).contains(folder)).count()
}
