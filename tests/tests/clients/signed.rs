//! Values that are signed: by the command, and by the programs that `docs/mutable-items.md` shows.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use grape_tests::grape::{Grape, Kind};
use grape_tests::network::{Network, Shape};
use grape_tests::{our_grape, pages};
use rstest::rstest;
use serde_json::{Value, json};

/// Runs the command in a folder, of a Grape.
async fn ask(folder: &Path, grape: &Grape, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(our_grape::binary().unwrap());
    command.args(arguments).current_dir(folder).env("GRAPE_URL", grape.url());
    outcome(command).await
}

/// Runs the commands of a line in a folder, of the Grape of a number.
fn asker(
    folder: &Path,
    network: &Network,
) -> impl AsyncFn(usize, &str) -> (Option<i32>, String, String) {
    async move |at, line| {
        let arguments: Vec<_> = line.split(' ').collect();
        ask(folder, &network.grapes[at], &arguments).await
    }
}

async fn outcome(mut command: Command) -> (Option<i32>, String, String) {
    let run = tokio::task::spawn_blocking(move || command.output());
    let Output { status, stdout, stderr } = run.await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (status.code(), text(stdout), text(stderr))
}

fn done(shown: &str) -> (Option<i32>, String, String) {
    (Some(0), shown.to_owned(), String::new())
}

#[tokio::test]
async fn a_key_is_made_once() {
    let network = Network::start(Shape::Mesh, &[Kind::Ours]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| ask(folder.path(), &network.grapes[0], arguments).await;
    let (code, key, _) = run(&["key", "new", "author.pem"]).await;
    assert_eq!((code, key.len()), (Some(0), 64), "{key}");
    let mode = std::fs::metadata(folder.path().join("author.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = run(&["key", "new", "author.pem"]).await;
    let told = "grape: author.pem is there already: no key is overwritten";
    assert_eq!(again, (Some(2), String::new(), told.to_owned()));
    assert_eq!(run(&["key", "show", "author.pem"]).await, done(&key));
    let (_, shown, _) = run(&["key", "show", "author.pem", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), json!({ "key": key }));
    std::fs::write(folder.path().join("none.pem"), "no key").unwrap();
    let (code, _, told) = run(&["put", "x", "--key", "none.pem"]).await;
    assert_eq!(code, Some(2));
    assert!(told.contains("none.pem holds no ed25519 key in PEM without a password"), "{told}");
}

#[tokio::test]
async fn a_signed_value_is_replaced_under_its_hash() {
    let network = Network::start(Shape::Mesh, &[Kind::Ours, Kind::Ours]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = asker(folder.path(), &network);
    run(0, "key new author.pem").await;
    let (_, hash, _) = run(0, "put closed --key author.pem").await;
    assert_eq!(run(1, &format!("get {hash}")).await, done("closed"));
    assert_eq!(run(1, "put open --key author.pem").await, done(&hash), "the same hash");
    assert_eq!(run(0, &format!("get {hash}")).await, done("open"));
    let (_, shown, _) = run(0, "put --json [1,{\"a\":2}] --key author.pem -o json").await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown, json!({ "hash": hash, "seq": 3 }));
    assert_eq!(run(1, &format!("get {hash}")).await, done("[1,{\"a\":2}]"));
    let (code, _, told) = run(0, "put late --key author.pem --seq 2").await;
    let refused = "grape: the Grape refused: 302 sequence number less than current; without --seq \
                   the next number is taken";
    assert_eq!((code, &*told), (Some(1), refused));
    assert_eq!(run(0, "put later --key author.pem --seq 9").await, done(&hash));
    assert_eq!(run(0, &format!("get {hash}")).await, done("later"));
}

/// Wherever the value is held.
#[tokio::test]
async fn only_the_salt_of_a_value_finds_it() {
    let network = Network::start(Shape::Mesh, &[Kind::Ours, Kind::Ours]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = asker(folder.path(), &network);
    run(0, "key new author.pem").await;
    let (_, plain, _) = run(0, "put plain --key author.pem").await;
    let (_, hash, _) = run(0, "put book --key author.pem --salt books").await;
    assert_ne!(plain, hash);
    for at in [0, 1, 0, 1] {
        assert_eq!(run(at, &format!("get {hash} --salt books")).await, done("book"));
        let (code, shown, told) = run(at, &format!("get {hash} --salt films")).await;
        assert_eq!((code, &*shown), (Some(1), ""), "at {at}");
        assert!(told.ends_with(&format!("nothing is stored under {hash} with the salt \"films\"")));
        let (code, shown, told) = run(at, &format!("get {hash}")).await;
        assert_eq!((code, &*shown), (Some(1), ""), "at {at}");
        assert!(told.contains("stored with a salt is found only with that --salt"), "{told}");
        assert_eq!(run(at, &format!("get {plain}")).await, done("plain"));
    }
    let (code, _, told) =
        run(0, &format!("put x --key author.pem --salt {}", "s".repeat(65))).await;
    assert_eq!(code, Some(2));
    assert!(told.contains("the salt is 65 bytes; a salt has at most 64"), "{told}");
}

/// What the page shows works, beside the command.
#[rstest]
#[case::node("js", "node", "-e", "console.log(JSON.stringify(signed(V, SEQ, SALT)))")]
#[case::python(
    "python",
    "/usr/bin/python3",
    "-c",
    "import json; print(json.dumps(signed(V, SEQ, SALT)))"
)]
#[tokio::test]
async fn the_programs_on_the_page_work(
    #[case] language: &str,
    #[case] program: &str,
    #[case] flag: &str,
    #[case] end: &str,
) {
    let block = pages::program("mutable-items.md", language).unwrap();
    let network = Network::start(Shape::Mesh, &[Kind::Ours, Kind::Ours]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    ask(folder.path(), &network.grapes[0], &["key", "new", "author.pem"]).await;
    for salt in ["", "bücher"] {
        let with_salt: &[&str] = if salt.is_empty() { &[] } else { &["--salt", salt] };
        let end = end.replace("(V, SEQ, SALT)", &format!("('héllo', 7, '{salt}')"));
        let mut command = Command::new(program);
        command.current_dir(folder.path()).args([flag, &format!("{block}{end}")]);
        let (code, shown, told) = outcome(command).await;
        assert_eq!(
            code,
            Some(0),
            "{told}\nOn Debian: apt-get install -y nodejs python3-cryptography"
        );
        let hash = network.grapes[0].put(serde_json::from_str(&shown).unwrap()).await.unwrap();
        let get = [&["get", &hash], with_salt].concat();
        assert_eq!(ask(folder.path(), &network.grapes[1], &get).await, done("héllo"));
        let put = [&["put", "next", "--key", "author.pem", "-o", "json"], with_salt].concat();
        let (_, shown, _) = ask(folder.path(), &network.grapes[1], &put).await;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown, json!({ "hash": hash, "seq": 8 }), "the command goes on with it");
    }
}
