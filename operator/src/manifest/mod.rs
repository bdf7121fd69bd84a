//! YAML, all of it: a file to a [`GrapeCluster`], and an object to YAML.
//!
//! A file is held to more than serde asks for: it has one document, of the right kind, and no field
//! that nobody reads. What is wrong is told with its line, its field, and what would be right.

mod document;
mod locate;
mod wording;

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::cluster::describe::Fields;
use crate::cluster::{GrapeCluster, GrapeClusterSpec};
use crate::validate::Invalid;

pub use locate::line_of;

/// Something in a file that keeps it from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1; `None` where it cannot be told.
    pub line: Option<usize>,
    /// What is wrong and what would be right, as a sentence that starts with the field.
    pub text: String,
}

impl Finding {
    /// What `invalid` says, with its line in the file `yaml`.
    pub fn of(invalid: &Invalid, yaml: &str) -> Self {
        Self { line: line_of(yaml, &invalid.field), text: invalid.to_string() }
    }

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

/// What is read of a document. `status` is let pass: `kubectl get -o yaml` writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default)]
    metadata: ObjectMeta,
    spec: GrapeClusterSpec,
    #[serde(rename = "status", default)]
    _status: serde_yaml::Value,
}

/// Reads the one `GrapeCluster` of a file. Its values are of the right type, and not yet
/// [validated](crate::validate::validate).
///
/// # Errors
///
/// The file is no YAML, has no or several documents, one of another kind, a field that is unknown
/// (all of them are listed), or a value of another type (the first is listed).
pub fn parse(yaml: &str) -> Result<GrapeCluster, Vec<Finding>> {
    let source = document::only(yaml)?;
    let fields = Fields::new();
    let mut findings = Vec::new();
    let mut unknown = |path: serde_ignored::Path<'_>| {
        let field = wording::with_brackets(&path.to_string());
        let text = wording::unknown_field(&field, &fields);
        findings.push(Finding { line: line_of(yaml, &field), text });
    };
    let strict = serde_ignored::Deserializer::new(source, &mut unknown);
    let document = serde_path_to_error::deserialize::<_, Document>(strict);
    match document {
        Ok(Document { metadata, spec, .. }) if findings.is_empty() => {
            Ok(GrapeCluster { metadata, spec, status: None })
        }
        Ok(_) => Err(findings),
        Err(error) => {
            let field = error.path().to_string();
            let text = wording::wrong_type(&field, &error.inner().to_string(), &fields);
            findings.push(Finding { line: line_of(yaml, &field), text });
            Err(findings)
        }
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
