//! What `put` and `get` are asked: the options of the original, read and checked in its order and
//! refused in its words.

use std::borrow::Cow;

use grape_engine::{Item, MAX_SALT, MAX_VALUE, Signed, Value, encode};
use mainline::Id;

use super::json::{self, Json};
use super::values;

/// Why a request is refused: the text of the answer.
pub(crate) type Refusal = Cow<'static, str>;

/// The original's answer to what it has no word for.
const GENERIC: Refusal = Cow::Borrowed("ERR_GRAPE_GENERIC");

/// An item to store, and the version that must be there for it to replace.
#[derive(Debug, PartialEq)]
pub(crate) struct Put {
    pub(crate) item: Item,
    pub(crate) cas: Option<i64>,
}

/// An item to read.
#[derive(Debug, PartialEq)]
pub(crate) struct Get {
    /// `None` when the hash that was given cannot be any item's, so that nothing will be found.
    pub(crate) target: Option<Id>,
    pub(crate) salt: Vec<u8>,
    pub(crate) cached: bool,
}

/// The fields of an object that the original looks at; those that are missing are `None`.
struct Options<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Options<'a> {
    fn of(source: &'a str) -> Self {
        let fields = json::fields(source).into_iter();
        Self(fields.map(|(key, value)| (key, Json::of(value))).collect())
    }

    fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn truthy(&self, name: &str) -> Option<&Json<'a>> {
        self.get(name).filter(|value| value.is_truthy())
    }
}

/// What `put`'s data asks for.
pub(crate) fn put(data: &Json<'_>) -> Result<Put, Refusal> {
    let options = match data {
        Json::Null => return Err(GENERIC),
        Json::Text(_) => return Ok(Put { item: immutable(value(data)?)?, cas: None }),
        Json::Object(source) => Options::of(source),
        _ => Options(Vec::new()),
    };
    let value = value(options.get("v").ok_or("opts.v not given")?)?;
    let Some(key) = options.truthy("k") else {
        return Ok(Put { item: immutable(value)?, cas: None });
    };
    let cas = options
        .get("cas")
        .map(|cas| cas.as_integer().ok_or("opts.cas must be an integer if provided"))
        .transpose()?;
    let key = bytes(key, hex_prefix)
        .and_then(|key| <[u8; 32]>::try_from(key).ok())
        .ok_or("opts.k ed25519 public key must be 32 bytes")?;
    let signature = options
        .truthy("sig")
        .and_then(|signature| bytes(signature, hex_prefix))
        .ok_or("opts.sign function or options.sig signature is required for mutable put")?;
    let salt = salt(&options).ok_or("opts.salt is neither text nor bytes")?;
    if salt.len() > MAX_SALT {
        return Err("opts.salt is > 64 bytes long".into());
    }
    let seq = options.get("seq").ok_or("opts.seq not provided for a mutable update")?;
    let seq = seq.as_integer().ok_or("opts.seq not an integer")?;
    let signature = <[u8; 64]>::try_from(signature).map_err(|_| "invalid signature")?;
    let item = Item::mutable(value, Signed { key, signature, seq, salt })
        .map_err(|error| error.to_string())?;
    Ok(Put { item, cas })
}

/// What `get`'s data asks for.
pub(crate) fn get(data: &Json<'_>) -> Result<Get, Refusal> {
    let options = match data {
        Json::Text(_) => {
            let hash = bytes(data, hex_prefix).unwrap_or_default();
            return Ok(Get { target: id(&hash), salt: Vec::new(), cached: true });
        }
        Json::Object(source) => Options::of(source),
        _ => return Err(GENERIC),
    };
    // Here, unlike above, the original takes nothing but hex.
    let Some(Json::Text(hash)) = options.get("hash") else { return Err(GENERIC) };
    Ok(Get {
        target: id(&hex_prefix(hash)),
        salt: salt(&options).ok_or(GENERIC)?,
        cached: options.get("cache") != Some(&Json::Bool(false)),
    })
}

/// A value as bencode, its keys in order.
fn value(json: &Json<'_>) -> Result<Vec<u8>, Refusal> {
    let value = values::to_value(json).map_err(|unfit| unfit.to_string())?;
    // The item checks every kind of value; a text's length comes before other refusals.
    match &value {
        Value::Bytes(bytes) if bytes.len() > MAX_VALUE => {
            Err("v must be less than 1000 bytes in put()".into())
        }
        _ => encode(&value).map_err(|error| error.to_string().into()),
    }
}

/// The bencode of a value that is JSON: what a signature is made over.
///
/// # Errors
/// When it cannot be stored: why.
pub(crate) fn bencode(json: &str) -> Result<Vec<u8>, String> {
    let json = serde_json::from_str(json).map_err(|error| error.to_string())?;
    value(&Json::of(json)).map_err(Refusal::into_owned)
}

fn immutable(value: Vec<u8>) -> Result<Item, Refusal> {
    Item::immutable(value).map_err(|error| error.to_string().into())
}

/// The salt, empty when there is none; `None` when it cannot be one.
fn salt(options: &Options<'_>) -> Option<Vec<u8>> {
    match options.truthy("salt") {
        None => Some(Vec::new()),
        Some(salt) => bytes(salt, |text| text.as_bytes().to_vec()),
    }
}

fn id(hash: &[u8]) -> Option<Id> {
    Id::from_bytes(hash).ok()
}

/// The bytes that clients mean: a list of them, a Node.js `Buffer` as JSON, either of those as JSON
/// in a string, or a string that `plain` reads.
fn bytes(json: &Json<'_>, plain: impl Fn(&str) -> Vec<u8>) -> Option<Vec<u8>> {
    match json {
        Json::Text(text) => Some(bytes_in(text).unwrap_or_else(|| plain(text))),
        Json::List(source) => serde_json::from_str(source).ok(),
        Json::Object(source) => match Options::of(source).get("data") {
            Some(Json::List(bytes)) => serde_json::from_str(bytes).ok(),
            _ => None,
        },
        _ => None,
    }
}

fn bytes_in(text: &str) -> Option<Vec<u8>> {
    match Json::of(serde_json::from_str(text).ok()?) {
        Json::Text(inner) => Some(inner.into_owned().into_bytes()),
        list_or_buffer => bytes(&list_or_buffer, |_| Vec::new()),
    }
}

/// The bytes of the hex digits that a text begins with, as Node.js reads hex.
fn hex_prefix(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks_exact(2)
        .map_while(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use rstest::rstest;

    use super::*;

    const KEY: &str = "8888888888888888888888888888888888888888888888888888888888888888";

    #[rstest]
    #[case("null", "ERR_GRAPE_GENERIC")]
    #[case("5", "opts.v not given")]
    #[case("[]", "opts.v not given")]
    #[case("{}", "opts.v not given")]
    #[case("false", "opts.v not given")]
    #[case(r#"{"v":null}"#, "v holds null, which bencode cannot carry")]
    #[case(r#"{"v":"x","k":"00"}"#, "opts.k ed25519 public key must be 32 bytes")]
    #[case(r#"{"v":"x","k":5}"#, "opts.k ed25519 public key must be 32 bytes")]
    #[case(r#"{"v":"x","k":"00","cas":"1"}"#, "opts.cas must be an integer if provided")]
    #[case(r#"{"v":"x","k":"00","cas":1.5}"#, "opts.cas must be an integer if provided")]
    fn unfit_puts_are_refused(#[case] data: &str, #[case] refusal: &str) {
        assert_eq!(put(&parse(data)).unwrap_err(), refusal);
    }

    #[rstest]
    #[case("", "opts.sign function or options.sig signature is required for mutable put")]
    #[case(
        r#","sig":"" "#,
        "opts.sign function or options.sig signature is required for mutable put"
    )]
    #[case(r#","sig":"00""#, "opts.seq not provided for a mutable update")]
    #[case(r#","sig":"00","seq":"1""#, "opts.seq not an integer")]
    #[case(r#","sig":"00","seq":1.5"#, "opts.seq not an integer")]
    #[case(r#","sig":"00","seq":null"#, "opts.seq not an integer")]
    #[case(r#","sig":"00","seq":1"#, "invalid signature")]
    #[case(r#","sig":"00","salt":5"#, "opts.salt is neither text nor bytes")]
    fn unfit_mutable_puts_are_refused(#[case] rest: &str, #[case] refusal: &str) {
        let data = format!(r#"{{"v":"x","k":"{KEY}"{rest}}}"#);
        assert_eq!(put(&parse(&data)).unwrap_err(), refusal);
    }

    #[rstest]
    #[case(999, true)]
    #[case(1000, false)]
    fn values_are_measured_in_bytes(#[case] length: usize, #[case] fits: bool) {
        let bare = format!("\"{}é\"", "x".repeat(length - 2));
        assert_eq!(put(&parse(&bare)).is_ok(), fits);
        let long_and_unfit = format!(r#"{{"v":{bare},"k":"00"}}"#);
        let refusal = put(&parse(&long_and_unfit)).unwrap_err();
        assert_eq!(refusal.starts_with("v must be less than 1000 bytes"), !fits);
    }

    #[rstest]
    fn a_falsy_key_makes_an_immutable_item(
        #[values("\"hello\"", r#"{"v":"hello"}"#, r#"{"v":"hello","k":"","cas":"x"}"#)] data: &str,
    ) {
        let put = put(&parse(data)).unwrap();
        // What the original answers.
        assert_eq!(put.item.id().to_string(), "e28910ea0adb94dd45ced75fbff3e135c01bc437");
        assert!(put.item.signed().is_none());
        assert_eq!(put.cas, None);
    }

    #[rstest]
    #[case(|bytes: &[u8]| hex::encode(bytes), "\"news\"")]
    #[case(|bytes: &[u8]| format!("{bytes:?}"), "\"[110,101,119,115]\"")]
    #[case(|bytes: &[u8]| format!(r#"{{\"type\":\"Buffer\",\"data\":{bytes:?}}}"#), "[110,101,119,115]")]
    fn keys_signatures_and_salts_are_read_in_any_form(
        #[case] form: fn(&[u8]) -> String,
        #[case] salt: &str,
    ) {
        let signer = SigningKey::from_bytes(&[7; 32]);
        let signature = signer.sign(b"4:salt4:news3:seqi1700000000000000e1:v5:hello").to_bytes();
        let data = format!(
            r#"{{"v":"hello","k":"{}","sig":"{}","salt":{salt},"seq":1700000000000000,"cas":3.0}}"#,
            form(signer.verifying_key().as_bytes()),
            form(&signature),
        );
        let put = put(&parse(&data)).unwrap();
        let signed = put.item.signed().unwrap();
        assert_eq!((signed.seq, signed.salt.as_slice()), (1_700_000_000_000_000, &b"news"[..]));
        assert_eq!(put.cas, Some(3));
    }

    #[rstest]
    #[case("null")]
    #[case("5")]
    #[case("[1]")]
    #[case("{}")]
    #[case(r#"{"hash":123}"#)]
    #[case(r#"{"hash":"00","salt":5}"#)]
    fn unfit_gets_are_refused(#[case] data: &str) {
        assert_eq!(get(&parse(data)).unwrap_err(), "ERR_GRAPE_GENERIC");
    }

    #[rstest]
    fn an_invalid_hash_finds_nothing(
        #[values("\"\"", "\"zz\"", "\"00\"", r#"{"hash":"zz"}"#)] data: &str,
    ) {
        assert_eq!(get(&parse(data)).unwrap().target, None);
    }

    #[rstest]
    #[case(r#""0101010101010101010101010101010101010101""#, b"", true)]
    #[case(r#""[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]""#, b"", true)]
    #[case(r#"{"hash":"0101010101010101010101010101010101010101","salt":"s"}"#, b"s", true)]
    #[case(r#"{"hash":"0101010101010101010101010101010101010101","salt":"7"}"#, b"7", true)]
    #[case(r#"{"hash":"0101010101010101010101010101010101010101","cache":false}"#, b"", false)]
    #[case(r#"{"hash":"0101010101010101010101010101010101010101","cache":0}"#, b"", true)]
    fn gets_are_read(#[case] data: &str, #[case] salt: &[u8], #[case] cached: bool) {
        let get = get(&parse(data)).unwrap();
        assert_eq!(get, Get { target: Some(Id::from([1; 20])), salt: salt.to_vec(), cached });
    }

    fn parse(source: &str) -> Json<'_> {
        Json::of(serde_json::from_str(source).unwrap())
    }
}
