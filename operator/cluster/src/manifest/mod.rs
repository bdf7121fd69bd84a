//! YAML, all of it: a file to a [`GrapeCluster`], and an object to YAML.
//!
//! The checks of a file go beyond serde's: one document, of the right kind, without unknown fields
//! and without duplicates. All mistakes are reported together, each with its line, its field, and
//! what would be right. Only a text that is no YAML ends at the first.
//!
//! `tree` (text to values) → `document` (which one is meant) → `typed` (values to a cluster) →
//! [`crate::validate`] (their bounds).

mod document;
mod locate;
mod tree;
mod typed;
mod wording;

use std::fmt;

use serde::Serialize;

use crate::GrapeCluster;
use crate::validate::{self, Invalid, ValidatedCluster};

pub use locate::line_of;

/// Something in a file that keeps it from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1; `None` if it is not known.
    pub line: Option<usize>,
    /// What is wrong and what would be right, as a sentence that starts with the field.
    pub text: String,
}

impl Finding {
    fn whole(text: impl Into<String>) -> Self {
        Self { line: None, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mistake {
    field: String,
    /// The field that was probably meant.
    meant: Option<String>,
    /// What is wrong, and what would be right.
    text: String,
    /// Whether it is the second field of the name that is meant.
    is_second: bool,
}

impl Mistake {
    fn new(field: &str, text: impl fmt::Display) -> Self {
        let text = format!("{field}: {text}");
        Self { field: field.to_owned(), meant: None, text, is_second: false }
    }

    /// Whether it already says what there is to say of a field.
    fn covers(&self, field: &str) -> bool {
        let inside = |mine: &str| {
            field
                .strip_prefix(mine)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        !self.is_second && (inside(&self.field) || self.meant.as_deref().is_some_and(inside))
    }

    fn found_in(self, yaml: &str) -> Finding {
        let line = match self.is_second {
            true => locate::line_of_second(yaml, &self.field),
            false => line_of(yaml, &self.field),
        };
        Finding { line, text: self.text }
    }
}

/// A file as far as it can be read, and all that is wrong with it so far.
struct Draft {
    cluster: Option<GrapeCluster>,
    mistakes: Vec<Mistake>,
}

fn draft(yaml: &str) -> Result<Draft, Vec<Finding>> {
    let (document, mut mistakes) = document::only(yaml)?;
    let (cluster, wrong) = typed::read(document);
    for mistake in &wrong {
        // That a field is missing says nothing more where another is misspelt.
        let meant = |other: &Mistake| other.meant.as_ref() == Some(&mistake.field);
        if !mistakes.iter().any(|known| known.covers(&mistake.field)) && !wrong.iter().any(meant) {
            mistakes.push(mistake.clone());
        }
    }
    Ok(Draft { cluster, mistakes })
}

fn findings(mistakes: Vec<Mistake>, yaml: &str) -> Vec<Finding> {
    let mut findings: Vec<_> = mistakes.into_iter().map(|mistake| mistake.found_in(yaml)).collect();
    findings.sort_by_key(|finding| finding.line);
    findings
}

/// A file without the byte order mark that some editors of Windows begin it with. The YAML reader would
/// take the mark for a part of the first field.
fn without_mark(yaml: &str) -> &str {
    yaml.strip_prefix('\u{feff}').unwrap_or(yaml)
}

/// Reads the one `GrapeCluster` of a file. Its values are of the right type, and not yet
/// [validated](validate::validate).
///
/// # Errors
///
/// The file is no YAML, has no or several documents, one of another kind, fields that are unknown or
/// there twice, or values of another type. All of them are listed, in the order of their lines.
pub fn parse(yaml: &str) -> Result<GrapeCluster, Vec<Finding>> {
    let yaml = without_mark(yaml);
    match draft(yaml)? {
        Draft { cluster: Some(cluster), mistakes } if mistakes.is_empty() => Ok(cluster),
        Draft { mistakes, .. } => Err(findings(mistakes, yaml)),
    }
}

/// Reads the one `GrapeCluster` of a file, and validates it.
///
/// # Errors
///
/// As of [`parse`], and values out of their bounds, all at once.
pub fn read(yaml: &str) -> Result<(GrapeCluster, ValidatedCluster), Vec<Finding>> {
    let yaml = without_mark(yaml);
    let Draft { cluster, mut mistakes } = draft(yaml)?;
    let validated = cluster.as_ref().map(validate::validate);
    if let Some(Err(invalid)) = &validated {
        let of_types = mistakes.len();
        for Invalid { field, problem, expected } in invalid {
            if !mistakes[..of_types].iter().any(|known| known.covers(field)) {
                mistakes.push(Mistake::new(field, format_args!("{problem}; expected {expected}")));
            }
        }
    }
    match (cluster, validated) {
        (Some(cluster), Some(Ok(validated))) if mistakes.is_empty() => Ok((cluster, validated)),
        _ => Err(findings(mistakes, yaml)),
    }
}

/// An object as a YAML document.
///
/// # Errors
///
/// The object cannot be written as YAML, such as a map whose keys are no text.
pub fn write(object: &impl Serialize) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(object)
}

#[cfg(test)]
mod tests;
