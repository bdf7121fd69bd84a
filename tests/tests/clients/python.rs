//! The function that `docs/http-api.md` shows, by which a program in Python asks a Grape.

use std::path::Path;
use std::process::Command;

use grape_tests::grape::Kind;
use grape_tests::network::{Network, Shape};

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
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http-api.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    let program = format!("{}{USE}", block.expect("the page has a block of Python"));
    let network = Network::start(Shape::Mesh, &[Kind::Ours; 2]).await.unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", &program, &network.grapes[0].url()]);
    let output = tokio::task::spawn_blocking(move || python.output()).await.unwrap();
    let output = output.expect("python3 is missing: apt-get install -y python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
