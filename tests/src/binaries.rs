//! Where the project's binaries are.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The binary of a package that has the same name: the file that `variable` names, else what was
/// built beside the test that runs.
///
/// # Errors
/// When it has not been built.
pub fn find(package: &str, variable: &str) -> Result<PathBuf> {
    if let Some(given) = given(variable)? {
        return Ok(given);
    }
    let (target, profile) = folders()?;
    let places = [profile, target.join("debug"), target.join("release")];
    places.map(|place| place.join(package)).into_iter().find(|place| place.is_file()).with_context(
        || {
            format!(
                "the binary `{package}` is missing beside the tests. Build it: cargo build -p \
                 {package}"
            )
        },
    )
}

/// The same, but that one of this profile comes before others that were built.
///
/// # Errors
/// When none has been built.
pub fn of_profile(profile: &str, package: &str, variable: &str) -> Result<PathBuf> {
    if let Some(given) = given(variable)? {
        return Ok(given);
    }
    let built = folders()?.0.join(profile).join(package);
    if built.is_file() { Ok(built) } else { find(package, variable) }
}

/// The file that a variable names.
fn given(variable: &str) -> Result<Option<PathBuf>> {
    let Some(given) = std::env::var_os(variable) else { return Ok(None) };
    let given = PathBuf::from(given);
    ensure!(given.is_file(), "{variable} is {}, which is no file", given.display());
    Ok(Some(given))
}

/// The target folder, and in it that of the profile with which the test was built.
fn folders() -> Result<(PathBuf, PathBuf)> {
    // A test is target/debug/deps/NAME, or target/release/deps/NAME.
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2).context("a test lies in target/PROFILE/deps")?;
    let target = profile.parent().context("a test lies in target/PROFILE/deps")?;
    Ok((target.to_owned(), profile.to_owned()))
}
