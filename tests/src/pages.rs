//! Programs that the pages for people show.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The first program of a page of `docs/` in this language.
///
/// # Errors
/// When there is no such page, or no such program on it.
pub fn program(page: &str, language: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = fs::read_to_string(path).with_context(|| format!("docs/{page}"))?;
    let block = text.split(&format!("```{language}\n")).nth(1);
    let block = block.and_then(|rest| rest.split("```").next());
    block.map(str::to_owned).with_context(|| format!("docs/{page} has no block of {language}"))
}
