//! Which document of a file is meant: the only one, and of the right kind.

use kube::Resource;
use serde::Deserialize;
use serde_yaml::Value;

use super::{Finding, line_of};
use crate::cluster::GrapeCluster;

/// The file's only document that is not empty, without the fields that are.
///
/// A value is read in two steps, text to [`Value`] to its type: read in one, a number would pass
/// for text, and what runs here would be refused by Kubernetes.
pub(super) fn only(yaml: &str) -> Result<Value, Vec<Finding>> {
    let mut documents = Vec::new();
    for source in serde_yaml::Deserializer::from_str(yaml) {
        match Value::deserialize(source) {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(value),
            Err(error) => return Err(vec![not_yaml(&error)]),
        }
    }
    match documents.as_mut_slice() {
        [] => Err(vec![Finding::whole(format!(
            "the file is empty; expected a {} such as\n{}",
            GrapeCluster::kind(&()),
            example()
        ))]),
        [value] => {
            of_our_kind(yaml, value)?;
            drop_empty(value);
            Ok(std::mem::take(value))
        }
        several => {
            let names: Vec<_> = several.iter().map(name).collect();
            Err(vec![Finding::whole(format!(
                "the file has {} documents ({}); expected one {}",
                several.len(),
                names.join(", "),
                GrapeCluster::kind(&())
            ))])
        }
    }
}

fn of_our_kind(yaml: &str, value: &Value) -> Result<(), Vec<Finding>> {
    if !value.is_mapping() {
        return Err(vec![Finding::whole(format!(
            "the file has no fields; expected a {} such as\n{}",
            GrapeCluster::kind(&()),
            example()
        ))]);
    }
    let mut findings = Vec::new();
    let version = GrapeCluster::api_version(&());
    let kind = GrapeCluster::kind(&());
    for (field, expected) in [("apiVersion", version), ("kind", kind)] {
        let problem = match value.get(field) {
            Some(Value::String(found)) if *found == expected => continue,
            Some(Value::String(found)) => format!("is {found}"),
            Some(_) => "is no text".to_owned(),
            None => "is missing".to_owned(),
        };
        let text = format!("{field}: {problem}; expected {expected}");
        findings.push(Finding { line: line_of(yaml, field), text });
    }
    if value.get("spec").is_none_or(Value::is_null) {
        let problem = if value.get("spec").is_some() { "is empty" } else { "is missing" };
        let text =
            format!("spec: {problem}; expected a mapping, and {{}} is a good cluster of three");
        findings.push(Finding { line: line_of(yaml, "spec"), text });
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// Takes out the fields without a value. As with Kubernetes, they are as good as left out: that is
/// what a mapping is whose fields are all commented out.
fn drop_empty(value: &mut Value) {
    if let Value::Mapping(fields) = value {
        fields.retain(|_, field| !field.is_null());
        fields.values_mut().for_each(drop_empty);
    }
}

/// A document as people call it: `Service web`.
fn name(value: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let kind = text(value.get("kind")).unwrap_or_else(|| "one of no kind".to_owned());
    match text(value.get("metadata").and_then(|metadata| metadata.get("name"))) {
        Some(name) => format!("{kind} {name}"),
        None => kind,
    }
}

fn not_yaml(error: &serde_yaml::Error) -> Finding {
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or(&message);
    Finding {
        line: error.location().map(|location| location.line()),
        text: format!("this cannot be read as YAML: {reason}"),
    }
}

fn example() -> String {
    let (version, kind) = (GrapeCluster::api_version(&()), GrapeCluster::kind(&()));
    format!("  apiVersion: {version}\n  kind: {kind}\n  metadata: {{name: market}}\n  spec: {{}}")
}
