//! The values of the operator's chart, as `values.yaml` has them: the one place where they are described.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_yaml::Value;

use crate::kubernetes::helm;

/// A file of the chart, as text.
///
/// # Errors
/// When there is no such file.
pub fn file(name: &str) -> Result<String> {
    let path = helm::chart()?.join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Each value by its path, with its default: all of values.yaml that has no values of ours in it.
///
/// # Errors
/// When values.yaml cannot be read.
pub fn defaults() -> Result<BTreeMap<String, Value>> {
    let mut leaves = BTreeMap::new();
    let mut open = vec![(String::new(), serde_yaml::from_str(&file("values.yaml")?)?)];
    while let Some((path, value)) = open.pop() {
        match value {
            // What lies in it is an object of Kubernetes, not ours.
            Value::Mapping(fields) if !fields.is_empty() && path != "resources" => {
                for (key, value) in fields {
                    let key = key.as_str().context("a key is no text")?;
                    let path =
                        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    open.push((path, value));
                }
            }
            _ => {
                leaves.insert(path, value);
            }
        }
    }
    Ok(leaves)
}

/// Each value with the comment above it, in the order of the file.
///
/// # Errors
/// When a value has no comment, or values.yaml cannot be read.
pub fn documented() -> Result<Vec<(String, String)>> {
    let leaves = defaults()?;
    let (mut told, mut comment, mut path) = (Vec::new(), Vec::new(), Vec::<String>::new());
    for line in file("values.yaml")?.lines() {
        let text = line.trim_start();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim().to_owned());
            continue;
        }
        let comment = std::mem::take(&mut comment).join(" ");
        let Some((key, _)) = text.split_once(':') else { continue };
        path.truncate((line.len() - text.len()) / 2);
        path.push(key.to_owned());
        let path = path.join(".");
        if leaves.contains_key(&path) {
            ensure!(!comment.is_empty(), "{path} has no comment in values.yaml");
            told.push((path, comment));
        }
    }
    ensure!(told.len() == leaves.len(), "{told:?} of {leaves:?}");
    Ok(told)
}

/// The rows of a table of all values: path, default and description.
///
/// # Errors
/// As [`documented`].
pub fn rows() -> Result<Vec<String>> {
    let defaults = defaults()?;
    let rows = documented()?.into_iter().map(|(path, text)| {
        let default = serde_json::to_string(&defaults[&path])?;
        Ok(format!("| `{path}` | `{default}` | {text} |"))
    });
    rows.collect()
}

/// A name that a value has in other charts.
#[derive(Debug, serde::Deserialize)]
pub struct OtherName {
    /// The name there.
    pub name: String,
    /// What to use here instead.
    #[serde(rename = "use")]
    pub instead: String,
    /// Whose charts have it.
    pub charts: String,
}

/// The names of other charts that the chart refuses with words.
///
/// # Errors
/// When the table cannot be read.
pub fn other_names() -> Result<Vec<OtherName>> {
    Ok(serde_yaml::from_str(&file("files/other-names.yaml")?)?)
}
