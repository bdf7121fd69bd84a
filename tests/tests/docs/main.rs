//! The pages for people.
//!
//! | file | what is tested |
//! |---|---|
//! | `links.rs` | every link has a target, and every page is in an index |
//! | `commands.rs`, `fields.rs` | the references are what the code has |
//! | `openapi.rs` | the OpenAPI file is what the code has, and what a Grape answers |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod fields;
mod links;
mod openapi;

use std::path::Path;

/// Compares a page of `docs/` that is made from the code, or writes it where `UPDATE_DOCS` is set.
fn compare(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    let stale = std::fs::read_to_string(path).unwrap_or_default() != wanted;
    assert!(
        !stale,
        "docs/{page} is stale. Write it anew: UPDATE_DOCS=true cargo test -p grape-tests --test docs"
    );
}
