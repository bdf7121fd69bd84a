//! Quantities of CPU and memory as Kubernetes writes them: `100m`, `64Mi`, `2`.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::pattern;

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

/// How much a quantity is, exactly: in billionths of its own unit, such as CPUs or bytes. As in
/// Kubernetes, what is finer is rounded up, and what is larger than 2^63 - 1 units counts as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

/// Billionths in a unit.
const UNIT: i128 = 1_000_000_000;

/// The most there is.
const MOST: i128 = i64::MAX as i128 * UNIT;

/// Billionths in a unit with a suffix. Longer suffixes come first.
const SUFFIXES: [(&str, i128); 15] = [
    ("Ki", UNIT << 10),
    ("Mi", UNIT << 20),
    ("Gi", UNIT << 30),
    ("Ti", UNIT << 40),
    ("Pi", UNIT << 50),
    ("Ei", UNIT << 60),
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("k", UNIT * 1_000),
    ("M", UNIT * 1_000_000),
    ("G", UNIT * 1_000_000_000),
    ("T", UNIT * 1_000_000_000_000),
    ("P", UNIT * 1_000_000_000_000_000),
    ("E", UNIT * 1_000_000_000_000_000_000),
];

/// How much a quantity is, to compare it with others. `None` for what does not look like
/// [`PATTERN`].
pub fn amount(text: &str) -> Option<Amount> {
    if !pattern::is_like(text, PATTERN) {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let suffix =
        SUFFIXES.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)));
    let (number, unit) = suffix.unwrap_or((text, UNIT));
    let (number, exponent) = match number.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<isize>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Without the point, and with zeros wherever the exponent may move it.
    let zeros = "0".repeat(exponent.unsigned_abs());
    let digits = format!("{zeros}{whole}{fraction}{zeros}");
    let point = (zeros.len() + whole.len()).checked_add_signed(exponent)?;
    let (whole, fraction) = digits.as_bytes().split_at_checked(point)?;
    let digit = |byte: &u8| i128::from(byte - b'0');
    let mut amount = Some(0_i128);
    for byte in whole {
        amount = amount.and_then(|amount| amount.checked_mul(10)?.checked_add(digit(byte)));
    }
    // From its last digit on: remainders only decide whether to round up.
    let (mut part, mut over) = (0, false);
    for byte in fraction.iter().rev() {
        part += digit(byte) * unit;
        over |= part % 10 != 0;
        part /= 10;
    }
    let amount = amount.and_then(|amount| amount.checked_mul(unit)?.checked_add(part));
    Some(Amount(amount.map_or(MOST, |amount| (amount + i128::from(over)).min(MOST))))
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
            // A rule would have a better message, but is not possible: the API server takes a value
            // of two types for the longest possible text, and refuses the rule as too expensive.
            "pattern": PATTERN,
            "maxLength": MAX_LENGTH,
            "minimum": 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("350m", "0.35")]
    #[case("0.35", "350m")]
    #[case("0.1", "100m")]
    #[case("1e3", "1k")]
    #[case("1E3", "1000")]
    #[case("1.5E-2", "+15m")]
    #[case(".5Gi", "512Mi")]
    #[case("1.", "1000m")]
    #[case("0.0625Ki", "64")]
    #[case("5E", "5000P")]
    #[case("5n", "0.005u")]
    #[case("0", "0Ei")]
    // Kubernetes rounds up to billionths, and knows no more than 2^63 - 1.
    #[case("0.1n", "1n")]
    #[case("1e-99", "1n")]
    #[case("1.0000000001", "1.000000001")]
    #[case("0.00000000000000000000000001Ei", "12n")]
    #[case("8Ei", "9223372036854775807")]
    #[case("1e99", "9e99")]
    #[case("99999999999999999999999999999999", "99999999999999999999999999999.9Ei")]
    fn one_amount_is_written_in_many_ways(#[case] one: &str, #[case] other: &str) {
        assert_eq!(amount(one), amount(other));
        assert!(amount(one).is_some());
    }

    #[rstest]
    #[case("0", "1n")]
    #[case("349m", "0.35")]
    #[case("0.35", "351m")]
    #[case("1000M", "1Gi")]
    #[case("9007199254740992", "9007199254740993")]
    #[case("0.1000000001", "0.100000002")]
    #[case("1.0000000000000000000000000001Ki", "1025")]
    #[case("1023.9999999999999999999999999999", "1.000000000001Ki")]
    fn amounts_are_compared_to_the_last_digit(#[case] less: &str, #[case] more: &str) {
        assert!(amount(less) < amount(more) && amount(less).is_some());
    }

    #[rstest]
    fn other_texts_are_no_amounts(
        #[values("", "+", ".", "much", "inf", "NaN", "-1", "1 Gi", "1e", "1e3Ki", "1KI", "0x1")]
        text: &str,
    ) {
        assert_eq!(amount(text), None);
    }

    proptest! {
        #[test]
        fn an_amount_is_the_same_in_every_unit(whole in 0u64..1 << 53, thousandths in 0u32..1000) {
            let decimal = format!("{whole}.{thousandths:03}");
            let thousands = u128::from(whole) * 1000 + u128::from(thousandths);
            let written = amount(&decimal);
            prop_assert_eq!(written, amount(&format!("{thousands}m")));
            prop_assert_eq!(written, amount(&format!("{thousands}e-3")));
            prop_assert_eq!(written, amount(&format!("+{thousands}000u")));
            prop_assert_eq!(amount(&format!("{whole}Mi")), amount(&format!("{whole}.0E0")).map(|Amount(n)| {
                Amount((n << 20).min(MOST))
            }));
        }

        #[test]
        fn what_looks_like_a_quantity_is_one_and_all_are_in_order(
            texts in proptest::collection::vec(proptest::string::string_regex(SHORT).unwrap(), 3)
        ) {
            let amounts: Vec<_> = texts.iter().map(|text| amount(text).unwrap()).collect();
            prop_assert!(amounts.iter().all(|amount| (0..=MOST).contains(&amount.0)));
            let (a, b, c) = (amounts[0], amounts[1], amounts[2]);
            prop_assert!(a <= b || b <= a);
            prop_assert!(!(a <= b && b <= c) || a <= c);
        }
    }

    /// [`PATTERN`] without its anchors, and with few digits.
    const SHORT: &str = r"\+?([0-9]{1,20}|[0-9]{1,10}\.[0-9]{0,20}|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?";
}
