//! JSON as the API reads it: the envelope `{"rid": …, "data": …}` and the values in it, borrowed
//! from the body, with the leniency of JavaScript's `JSON.parse`.

use std::borrow::Cow;
use std::fmt;

use ahash::RandomState;
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The body is not JSON, or is `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON document")]
pub(crate) struct InvalidJson;

/// The `data` of a request's envelope; `None` when the body is JSON without one.
pub(crate) fn envelope_data(body: &str) -> Result<Option<&RawValue>, InvalidJson> {
    match body.trim_ascii_start().as_bytes().first() {
        Some(b'{') => {
            serde_json::from_str::<Envelope<'_>>(body).map(|e| e.data).map_err(|_| InvalidJson)
        }
        Some(b'n') | None => Err(InvalidJson),
        Some(_) => serde_json::from_str::<IgnoredAny>(body).map(|_| None).map_err(|_| InvalidJson),
    }
}

struct Envelope<'a> {
    data: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Envelope<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut data = None;
                // As in JavaScript, the last of several fields of one name counts.
                while let Some(Text(key)) = map.next_key()? {
                    if key == "data" {
                        data = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Envelope { data })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// One JSON value, looked at no deeper than its type. Lists and objects hold their source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number's digits.
    Number(&'a str),
    /// A string, decoded.
    Text(Cow<'a, str>),
    /// A list's source.
    List(&'a str),
    /// An object's source.
    Object(&'a str),
}

impl<'a> Json<'a> {
    /// The value whose source is `raw`.
    pub(crate) fn of(raw: &'a RawValue) -> Self {
        let source = raw.get();
        match source.as_bytes().first() {
            Some(b'"') => match serde_json::from_str::<Text<'a>>(source) {
                Ok(Text(text)) => Self::Text(text),
                Err(_) => Self::Null,
            },
            Some(b'[') => Self::List(source),
            Some(b'{') => Self::Object(source),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number(source),
        }
    }

    /// The value, `null` when there is none.
    pub(crate) fn of_option(raw: Option<&'a RawValue>) -> Self {
        raw.map_or(Self::Null, Self::of)
    }

    /// Whether JavaScript takes it for true.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(digits) => digits.parse::<f64>().is_ok_and(|n| n != 0.0),
            Self::Text(text) => !text.is_empty(),
            Self::List(_) | Self::Object(_) => true,
        }
    }

    /// The integer that it is; `7001.0` and `1e3` are integers too.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        let Self::Number(digits) = self else { return None };
        if let Ok(integer) = digits.parse::<i64>() {
            return Some(integer);
        }
        // Plain digits that are no i64 are too large, and a float would only round them.
        if !digits.contains(['.', 'e', 'E']) {
            return None;
        }
        let float = digits.parse::<f64>().ok()?;
        let fits = float.fract() == 0.0 && float.abs() < 9_223_372_036_854_775_808.0;
        fits.then_some(float as i64)
    }
}

/// The elements of a list's source.
pub(crate) fn elements(list: &str) -> Vec<&RawValue> {
    serde_json::from_str(list).unwrap_or_default()
}

/// The first two elements of a list's source.
pub(crate) fn first_two(list: &str) -> (Option<&RawValue>, Option<&RawValue>) {
    serde_json::from_str::<Pair<'_>>(list).map_or((None, None), |pair| (pair.0, pair.1))
}

struct Pair<'a>(Option<&'a RawValue>, Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Pair<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Pair<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let pair = Pair(seq.next_element()?, seq.next_element()?);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(pair)
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

/// The fields of an object's source, in order; of several with one name, JavaScript keeps the
/// last.
pub(crate) fn fields(object: &str) -> IndexMap<Cow<'_, str>, &RawValue, RandomState> {
    serde_json::from_str::<Fields<'_>>(object).map_or_else(|_| IndexMap::default(), |it| it.0)
}

struct Fields<'a>(IndexMap<Cow<'a, str>, &'a RawValue, RandomState>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = IndexMap::default();
                while let Some((Text(key), value)) = map.next_entry()? {
                    fields.insert(key, value);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A JSON string. A lone surrogate, which JavaScript lets pass and UTF-8 has no bytes for, becomes
/// U+FFFD as Node.js writes it.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Text(match std::str::from_utf8(bytes) {
                    Ok(text) => Cow::Borrowed(text),
                    Err(_) => Cow::Owned(replace_surrogates(bytes)),
                }))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(replace_surrogates(bytes))))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Text from UTF-8 in which surrogates are encoded as if they were characters: ED, then two bytes.
fn replace_surrogates(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if chunk.invalid().first().is_some_and(|byte| !(0x80..0xc0).contains(byte)) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"rid":"1","data":"rpc_test"}"#, Some(r#""rpc_test""#))]
    #[case(r#" { "data" : [ "a", 1 ] , "more": {"x":[1,{"data":2}]} } "#, Some(r#"[ "a", 1 ]"#))]
    #[case(r#"{"d\u0061ta":5}"#, Some("5"))]
    #[case(r#"{"data":1,"data":2}"#, Some("2"))]
    #[case(r#"{"data":null}"#, Some("null"))]
    #[case(r#"{"\ud800":1,"data":2}"#, Some("2"))]
    #[case("{}", None)]
    #[case("[]", None)]
    #[case("5", None)]
    #[case("1e999", None)]
    #[case(r#""s""#, None)]
    #[case("true", None)]
    fn data_is_found_in_any_document(#[case] body: &str, #[case] data: Option<&str>) {
        assert_eq!(envelope_data(body).unwrap().map(RawValue::get), data);
    }

    #[rstest]
    fn deep_nesting_is_no_trouble() {
        let body = format!("{{\"data\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(envelope_data(&body).unwrap().is_some());
    }

    #[rstest]
    fn other_bodies_are_refused(
        #[values(
            "",
            " ",
            "null",
            " null ",
            "nul",
            "{",
            "{}x",
            "[1,]",
            "{\"data\":01}",
            "'a'",
            "\u{feff}{}"
        )]
        body: &str,
    ) {
        assert_eq!(envelope_data(body).err(), Some(InvalidJson));
    }

    #[rstest]
    #[case(r#""plain""#, "plain")]
    #[case(r#""a\nbé\u00e9\ud83d\ude00""#, "a\nbéé😀")]
    #[case(r#""x\ud800y\udc00z""#, "x\u{fffd}y\u{fffd}z")]
    #[case(r#""\ud800\ud800""#, "\u{fffd}\u{fffd}")]
    fn strings_are_decoded(#[case] source: &str, #[case] text: &str) {
        assert_eq!(Json::of(raw(source)), Json::Text(text.into()));
    }

    #[rstest]
    #[case("7001", Some(7001))]
    #[case("7001.0", Some(7001))]
    #[case("1e3", Some(1000))]
    #[case("-0", Some(0))]
    #[case("-0.0", Some(0))]
    #[case("9223372036854775807", Some(i64::MAX))]
    #[case("9223372036854775808", None)]
    #[case("9.3e18", None)]
    #[case("1e999", None)]
    #[case("1.5", None)]
    #[case("\"1\"", None)]
    #[case("null", None)]
    fn integers_are_integral_numbers(#[case] source: &str, #[case] integer: Option<i64>) {
        assert_eq!(Json::of(raw(source)).as_integer(), integer);
    }

    #[rstest]
    fn falsy_is_what_javascript_says(#[values("null", "false", "0", "-0.0", "\"\"")] source: &str) {
        assert!(!Json::of(raw(source)).is_truthy());
    }

    #[rstest]
    fn truthy_is_the_rest(#[values("true", "1", "\"0\"", "[]", "{}")] source: &str) {
        assert!(Json::of(raw(source)).is_truthy());
    }

    #[rstest]
    fn the_last_of_two_fields_counts() {
        let fields = fields(r#"{"a":1,"b":2,"a":3}"#);
        assert_eq!(
            fields.iter().map(|(key, value)| (&**key, value.get())).collect::<Vec<_>>(),
            [("a", "3"), ("b", "2")]
        );
    }

    /// A quadratic reading would take minutes.
    #[rstest]
    fn many_fields_are_read() {
        let field = |n: usize| format!("\"{n}\":{n}");
        let source = (0..300_000).map(field).collect::<Vec<_>>().join(",");
        let source = format!("{{{source}}}");
        let fields = fields(&source);
        assert_eq!(fields.len(), 300_000);
        assert_eq!(fields["299999"].get(), "299999");
    }

    fn raw(source: &str) -> &RawValue {
        serde_json::from_str(source).unwrap()
    }
}
