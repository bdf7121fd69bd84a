//! `lookup`.

use serde_json::{Value, json};

use grape_tests::http::Request;

use super::Row;

/// What may be asked for, and what not.
pub fn rows() -> Vec<Row> {
    let lookup = |what, data: Value| Row::data(what, "lookup", data);
    vec![
        Row::new("no data", Request::post("/lookup", r#"{"rid":"r"}"#)),
        lookup("null", json!(null)),
        lookup("an empty name", json!("")),
        lookup("a number", json!(5)),
        lookup("zero", json!(0)),
        lookup("true", json!(true)),
        lookup("an object", json!({ "name": "rest:util:net" })),
        lookup("a list", json!(["rest:util:net"])),
        lookup("an empty list", json!([])),
        lookup("a name that nobody announced", json!("nobody:here")),
        lookup("a name of one byte", json!("n")),
        lookup("a name of 300 bytes", json!("n".repeat(300))),
        lookup("a name of 1500 bytes, more than a datagram likes", json!("n".repeat(1500))),
        lookup("a name of spaces", json!("   ")),
        lookup("a name with a zero byte", json!("zero\u{0}byte")),
        lookup("a name that is not ASCII", json!("größe:日本:🍇")),
        Row::new(
            "a name with bytes that are not UTF-8",
            Request::post("/lookup", b"{\"data\":\"half \xc3 a letter\"}".to_vec()),
        ),
        Row::new(
            "a name with half a surrogate pair",
            Request::post("/lookup", r#"{"data":"half \ud800 a pair"}"#),
        ),
        lookup("a name that is a number", json!("5")),
        lookup("a name that every object has", json!("__proto__")),
        lookup("a name of hex digits", json!("0123456789abcdef0123456789abcdef01234567")),
    ]
}
