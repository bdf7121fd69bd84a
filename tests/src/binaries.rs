//! Where the project's binaries are.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The binary of a package that has the same name: the file that `variable` names, else what was
/// built beside the test that runs.
///
/// # Errors
/// When it has not been built.
pub fn find(package: &str, variable: &str) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(variable) {
        let given = PathBuf::from(given);
        ensure!(given.is_file(), "{variable} is {}, which is no file", given.display());
        return Ok(given);
    }
    // A test is target/debug/deps/NAME, or target/release/deps/NAME.
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2).context("a test lies in target/PROFILE/deps")?;
    let target = profile.parent().context("a test lies in target/PROFILE/deps")?;
    let places = [profile.to_owned(), target.join("debug"), target.join("release")];
    places.map(|place| place.join(package)).into_iter().find(|place| place.is_file()).with_context(
        || {
            format!(
                "the binary `{package}` is missing beside the tests. Build it: cargo build -p \
                 {package}"
            )
        },
    )
}
