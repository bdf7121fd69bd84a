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

/// How much a quantity is, in its own unit, such as CPUs or bytes; to compare it with others. `None`
/// for what does not look like [`PATTERN`].
pub fn amount(text: &str) -> Option<f64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let suffixes = [
        ("Ki", 1024_f64.powi(1)),
        ("Mi", 1024_f64.powi(2)),
        ("Gi", 1024_f64.powi(3)),
        ("Ti", 1024_f64.powi(4)),
        ("Pi", 1024_f64.powi(5)),
        ("Ei", 1024_f64.powi(6)),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let found = suffixes
        .iter()
        .find_map(|(suffix, factor)| text.strip_suffix(suffix).map(|number| (number, *factor)));
    let (number, factor) = found.unwrap_or((text, 1.0));
    let digits = number.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    number.parse::<f64>().ok().filter(|_| digits).map(|number| number * factor)
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2", Some(2.0))]
    #[case("100m", Some(0.1))]
    #[case("0.1", Some(0.1))]
    #[case("+1.5E-2", Some(0.015))]
    #[case("1e3", Some(1000.0))]
    #[case(".5Gi", Some(536_870_912.0))]
    #[case("1Mi", Some(1_048_576.0))]
    #[case("1M", Some(1e6))]
    #[case("5E", Some(5e18))]
    #[case("5n", Some(5e-9))]
    #[case("", None)]
    #[case("much", None)]
    #[case("inf", None)]
    #[case("NaN", None)]
    #[case("-1", None)]
    fn quantities_can_be_compared(#[case] text: &str, #[case] expected: Option<f64>) {
        assert_eq!(amount(text), expected);
    }
}
