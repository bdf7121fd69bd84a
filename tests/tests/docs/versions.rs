//! Commands of the pages name the version of this release.

use std::fs;
use std::path::Path;

use regex::Regex;

/// What stands before a version in a command, as in `release/build 1.2.3`.
const NAMED: &str =
    r"(?:release/build |--version |grape:|operator:|grape-operator-)(\d+\.\d+\.\d+)";

#[test]
fn the_commands_of_the_pages_name_this_release() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let named = Regex::new(NAMED).unwrap();
    let mut found = 0;
    for page in ["README.md", "docs/install.md", "docs/quick-start-cluster.md"] {
        let text = fs::read_to_string(project.join(page)).unwrap();
        for version in named.captures_iter(&text) {
            assert_eq!(&version[1], env!("CARGO_PKG_VERSION"), "{page}: {}", &version[0]);
            found += 1;
        }
    }
    assert!(found > 5, "they name {found}");
}
