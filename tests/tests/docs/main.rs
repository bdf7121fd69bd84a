//! The pages for people.
//!
//! | file | what is tested |
//! |---|---|
//! | `links.rs` | every link has a target, and every page is in an index |
//! | `commands.rs`, `fields.rs`, `values.rs` | the references are what the code and the chart have |
//! | `versions.rs` | commands name the version of this release |
//! | `openapi.rs` | the OpenAPI file is what the code has, and what a Grape answers |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod fields;
mod links;
mod openapi;
mod values;
mod versions;

use std::path::Path;

/// Compares a page of `docs/` that is made from the code, or writes it where `UPDATE_DOCS` is set.
fn compare(page: &str, wanted: &str) {
    compare_with(&["..", "docs", page], wanted);
}

/// The same of any page, by the parts of its path from the folder of the tests.
fn compare_with(parts: &[&str], wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(parts.join("/"));
    let page = parts[1..].join("/");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    let stale = std::fs::read_to_string(path).unwrap_or_default() != wanted;
    assert!(
        !stale,
        "{page} is stale. Write it anew: UPDATE_DOCS=true cargo test -p grape-tests --test docs"
    );
}
