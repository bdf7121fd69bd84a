//! What the schema knows of a field, for messages: which fields there are, and what would be right.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{crd, limits};

/// The schema of a `GrapeCluster`, to ask about fields by their path, such as
/// `spec.dht.bootstrap[0]`.
#[derive(Debug, Clone)]
pub struct Fields {
    root: &'static Value,
}

/// Made once: it takes longer than reading a file.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let version = crd::crd().spec.versions.into_iter().next();
    let schema = version.and_then(|version| version.schema?.open_api_v3_schema);
    // The schema serializes: it was made from JSON.
    schema.and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_default()
});

impl Fields {
    /// The fields of the served version.
    pub fn new() -> Self {
        Self { root: &SCHEMA }
    }

    /// The names of the fields inside the one at `path`; none if it is no object with known fields.
    pub fn inside(&self, path: &str) -> Vec<&str> {
        let properties = self.schema(path).and_then(properties);
        properties.map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// What would be right at `path`, as a phrase; `None` for a field that is not known.
    pub fn expected(&self, path: &str) -> Option<String> {
        let schema = self.schema(path)?;
        let number = |key: &str| schema.get(key).and_then(Value::as_f64);
        Some(match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
            "integer" => match (number("minimum"), number("maximum")) {
                (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
                _ => "a whole number".to_owned(),
            },
            "string" => match schema.get("enum").and_then(Value::as_array) {
                Some(values) => {
                    let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
                    format!("one of {}", values.join(", "))
                }
                None => told(schema).unwrap_or("text").to_owned(),
            },
            "boolean" => "true or false".to_owned(),
            "array" => match self.expected(&format!("{path}[0]")) {
                Some(item) => format!("a list, each entry {item}"),
                None => "a list".to_owned(),
            },
            _ => match self.inside(path).as_slice() {
                [] => "a mapping".to_owned(),
                fields => format!("a mapping with any of {}", fields.join(", ")),
            },
        })
    }

    /// A value of the right type for the field at `path`: its default, or as little as there can be.
    /// `None` for a field that is not known, or takes more than one type.
    pub fn placeholder(&self, path: &str) -> Option<Value> {
        let schema = self.schema(path)?;
        let least = match schema.get("type").and_then(Value::as_str)? {
            "integer" => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
            "string" => match schema.get("enum").and_then(|values| values.get(0)) {
                Some(value) => value.clone(),
                None => json!(""),
            },
            "boolean" => json!(false),
            "array" => json!([]),
            "object" => json!({}),
            _ => return None,
        };
        Some(schema.get("default").cloned().unwrap_or(least))
    }

    /// The schema of the field at `path`; `None` if it is not known.
    pub fn schema(&self, path: &str) -> Option<&Value> {
        path.split('.').filter(|step| !step.is_empty()).try_fold(self.root, |schema, step| {
            let (name, index) = match step.split_once('[') {
                Some((name, _)) => (name, true),
                None => (step, false),
            };
            let field = properties(schema)?.get(name)?;
            if index { field.get("items") } else { Some(field) }
        })
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}

/// The message of its first rule.
fn told(schema: &Value) -> Option<&str> {
    let message = schema.get("x-kubernetes-validations")?.get(0)?.get("message")?.as_str()?;
    message.strip_prefix(limits::MUST_BE)
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "spec",
        "a mapping with any of api, dht, image, injection, monitoring, networkPolicy, paused, pools, replicas, template"
    )]
    #[case("spec.replicas", "a whole number from 1 to 1000")]
    #[case("spec.dht.peerMaxAge", "a duration from 1s to 24h, as in 120s, 5m or 1h30m")]
    #[case("spec.image.pullPolicy", "one of Always, IfNotPresent, Never")]
    #[case("spec.image.tag", limits::TAG_EXPECTED)]
    #[case("spec.dht.bootstrap[3]", limits::HOST_PORT_EXPECTED)]
    fn a_field_has_a_description_of_valid_values(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(Fields::new().expected(path).as_deref(), Some(expected));
    }

    #[test]
    fn an_unknown_field_has_no_description() {
        assert_eq!(Fields::new().expected("spec.dht.colour"), None);
        assert_eq!(Fields::new().inside("spec.replicas"), Vec::<&str>::new());
    }
}
