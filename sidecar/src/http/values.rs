//! JSON values to bencode ones and back: what `put` stores and `get` shows.

use std::borrow::Cow;
use std::fmt;

use grape_engine::Value;

use super::json::{self, Json};

/// Deepest nesting of lists and objects that is stored.
const MAX_DEPTH: usize = 32;

/// Why a JSON value has no bencode: bencode knows byte strings, 64-bit integers, lists and
/// dictionaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number with a fraction.
    Fraction(String),
    /// An integer that does not fit in 64 bits with a sign.
    Integer(String),
    /// Lists in lists, too many of them.
    Depth,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("v holds null, which bencode cannot carry"),
            Self::Bool(value) => write!(f, "v holds {value}, which bencode cannot carry"),
            Self::Fraction(number) => {
                write!(f, "v holds {number}, and bencode carries no fractions: send it as a string")
            }
            Self::Integer(number) => {
                write!(f, "v holds {number}, which is no 64-bit integer: send it as a string")
            }
            Self::Depth => write!(f, "v is nested deeper than {MAX_DEPTH} levels"),
        }
    }
}

/// The bencode of a JSON value.
pub(crate) fn to_value(json: &Json<'_>) -> Result<Value<'static>, Unfit> {
    nested(json, 0)
}

fn nested(json: &Json<'_>, depth: usize) -> Result<Value<'static>, Unfit> {
    if depth > MAX_DEPTH {
        return Err(Unfit::Depth);
    }
    match json {
        Json::Null => Err(Unfit::Null),
        Json::Bool(value) => Err(Unfit::Bool(*value)),
        Json::Number(digits) => json.as_integer().map(Value::Integer).ok_or_else(|| {
            // A number can be as long as the body: the message shows the head of it.
            let shown = digits.get(..40).map_or_else(|| (*digits).to_owned(), |d| format!("{d}…"));
            let whole = !digits.contains(['.', 'e', 'E']);
            if whole { Unfit::Integer(shown) } else { Unfit::Fraction(shown) }
        }),
        Json::Text(text) => Ok(Value::Bytes(Cow::Owned(text.as_bytes().to_vec()))),
        Json::List(source) => json::elements(source)
            .into_iter()
            .map(|element| nested(&Json::of(element), depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::List),
        Json::Object(source) => json::fields(source)
            .into_iter()
            .map(|(key, value)| {
                let value = nested(&Json::of(value), depth + 1)?;
                Ok((Cow::Owned(key.into_owned().into_bytes()), value))
            })
            .collect::<Result<_, _>>()
            .map(Value::Dict),
    }
}

/// A value as text: a byte string is its own text, anything else is JSON.
pub(crate) fn to_text(value: &Value<'_>) -> String {
    match value {
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => to_json(other).to_string(),
    }
}

fn to_json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::Integer(integer) => (*integer).into(),
        Value::List(list) => list.iter().map(to_json).collect(),
        Value::Dict(dict) => dict
            .iter()
            .map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), to_json(value)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#""text""#, "text")]
    #[case(r#""""#, "")]
    #[case("5", "5")]
    #[case("-0", "0")]
    #[case("1e3", "1000")]
    #[case("-9223372036854775808", "-9223372036854775808")]
    #[case(r#"[1,"two",[]]"#, r#"[1,"two",[]]"#)]
    #[case(r#"{"b":{"x":"é"},"a":[1]}"#, r#"{"a":[1],"b":{"x":"é"}}"#)]
    fn values_come_back_as_text(#[case] source: &str, #[case] text: &str) {
        assert_eq!(to_text(&to_value(&parse(source)).unwrap()), text);
    }

    #[rstest]
    #[case("null", "v holds null")]
    #[case("true", "v holds true")]
    #[case("[1,[false]]", "v holds false")]
    #[case(r#"{"price":1.5}"#, "v holds 1.5")]
    #[case("1e-3", "v holds 1e-3")]
    #[case("9223372036854775808", "v holds 9223372036854775808, which is no 64-bit integer")]
    #[case(&"1".repeat(5000), "1111…")]
    fn values_that_bencode_does_not_have_are_named(#[case] source: &str, #[case] reason: &str) {
        let message = to_value(&parse(source)).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
        assert!(message.len() < 200);
    }

    #[rstest]
    #[case(32, true)]
    #[case(33, false)]
    #[case(4000, false)]
    fn nesting_is_bounded(#[case] depth: usize, #[case] fits: bool) {
        let source = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(to_value(&parse(&source)).is_ok(), fits);
    }

    #[rstest]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(to_text(&Value::Bytes(Cow::Borrowed(b"a\xffb"))), "a\u{fffd}b");
    }

    fn parse(source: &str) -> Json<'_> {
        Json::of(serde_json::from_str(source).unwrap())
    }
}
