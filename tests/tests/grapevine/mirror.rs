//! The rules by which a Gossiper keeps its copy of a group: `mirror.test.js`.

use std::process::Command;

#[test]
fn a_copy_of_a_group_follows_its_rules() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grapevine/mirror.test.js");
    let tested = Command::new("node").args(["--test", file]).output().unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
}
