//! Quantities of CPU and memory as Kubernetes writes them: `100m`, `64Mi`, `2`.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What a quantity looks like, not less than nothing.
pub const PATTERN: &str =
    r"^\+?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?$";

/// Most characters of a quantity.
pub const MAX_LENGTH: usize = 32;
/// What would be right.
pub const EXPECTED: &str = "a quantity, as in 100m, 0.5, 64Mi or 1Gi";

/// A quantity as its author wrote it, a number or a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum QuantityText {
    /// A whole number, such as `cpu: 1`.
    Number(i64),
    /// A text, such as `64Mi`.
    Text(String),
}

impl From<&QuantityText> for Quantity {
    fn from(text: &QuantityText) -> Self {
        Self(text.to_string())
    }
}

impl From<&str> for QuantityText {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for QuantityText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl JsonSchema for QuantityText {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            // A rule would tell more, and cannot be had: the API server counts a value of two
            // types as the longest text there is, and so the rule as too dear.
            "pattern": PATTERN,
            "maxLength": MAX_LENGTH,
            "minimum": 0,
        })
    }
}
