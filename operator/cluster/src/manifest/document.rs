//! Which document of a file is meant: the only one, and of the right kind.

use kube_core::Resource;
use serde_yaml::{Mapping, Value};

use super::locate::line_at;
use super::{Finding, Mistake, tree};
use crate::GrapeCluster;
use crate::nearest::nearest;

/// The file's only document that is not empty, without the fields that are, and what is wrong with
/// what every object has. In place of that it has what is expected.
///
/// A value is read in two steps, text to [`Value`] to its type: read in one, a number would pass
/// for text, and what runs here would be refused by Kubernetes.
pub(super) fn only(yaml: &str) -> Result<(Value, Vec<Mistake>), Vec<Finding>> {
    let mut documents = Vec::new();
    for source in serde_yaml::Deserializer::from_str(yaml) {
        match tree::read(source) {
            Ok((Value::Null, _)) => {}
            Ok(document) => documents.push(document),
            Err(error) => return Err(vec![not_yaml(yaml, &error)]),
        }
    }
    match documents.as_mut_slice() {
        [] => Err(vec![Finding::whole(format!(
            "the file is empty; expected a {} such as\n{}",
            GrapeCluster::kind(&()),
            example()
        ))]),
        [(Value::Mapping(fields), twice)] => {
            let mut mistakes = of_our_kind(fields);
            if is_of_another_kind(fields) {
                return Err(super::findings(mistakes, yaml));
            }
            mistakes.extend(twice.iter().map(|field| Mistake {
                is_second: true,
                ..Mistake::new(field, "is there twice; expected each field once")
            }));
            fields.insert("apiVersion".into(), GrapeCluster::api_version(&()).into());
            fields.insert("kind".into(), GrapeCluster::kind(&()).into());
            if fields.get("spec").is_none_or(Value::is_null) {
                fields.insert("spec".into(), Mapping::new().into());
            }
            let mut document = Value::Mapping(std::mem::take(fields));
            drop_empty(&mut document);
            Ok((document, mistakes))
        }
        [_] => Err(vec![Finding::whole(format!(
            "the file has no fields; expected a {} such as\n{}",
            GrapeCluster::kind(&()),
            example()
        ))]),
        several => {
            let names: Vec<_> = several.iter().map(|(value, _)| name(value)).collect();
            Err(vec![Finding::whole(format!(
                "the file has {} documents ({}); expected one {}",
                several.len(),
                names.join(", "),
                GrapeCluster::kind(&())
            ))])
        }
    }
}

fn of_our_kind(fields: &Mapping) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let version = GrapeCluster::api_version(&());
    let kind = GrapeCluster::kind(&());
    for (field, expected) in [("apiVersion", version), ("kind", kind)] {
        let problem = match fields.get(field) {
            Some(Value::String(found)) if *found == expected => continue,
            Some(Value::String(found)) => format!("is {found}"),
            Some(_) => "is no text".to_owned(),
            None => "is missing".to_owned(),
        };
        mistakes.push(Mistake::new(field, format_args!("{problem}; expected {expected}")));
    }
    if fields.get("spec").is_none_or(Value::is_null) {
        let problem = if fields.contains_key("spec") { "is empty" } else { "is missing" };
        let expected = "expected a mapping, and {} is a good cluster of three";
        mistakes.push(Mistake::new("spec", format_args!("{problem}; {expected}")));
    }
    mistakes
}

/// Whether the document is an object that has nothing to do with ours, as a Deployment. What its
/// fields are is then no mistake.
fn is_of_another_kind(fields: &Mapping) -> bool {
    let text = |field| fields.get(field).and_then(Value::as_str);
    let group = GrapeCluster::group(&());
    let of_our_group = |version: &str| version.split('/').next() == Some(&*group);
    let kind = GrapeCluster::kind(&());
    let of_our_kind = |found: &str| nearest(found, [&*kind]).is_some();
    text("apiVersion").is_some_and(|version| !of_our_group(version))
        && text("kind").is_some_and(|found| !of_our_kind(found))
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

fn not_yaml(yaml: &str, error: &serde_yaml::Error) -> Finding {
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or(&message);
    Finding {
        line: error.location().map(|place| line_at(yaml, &place)),
        text: format!("this cannot be read as YAML: {reason}"),
    }
}

fn example() -> String {
    let (version, kind) = (GrapeCluster::api_version(&()), GrapeCluster::kind(&()));
    format!("  apiVersion: {version}\n  kind: {kind}\n  metadata: {{name: market}}\n  spec: {{}}")
}
