//! Immutable items: `put` and `get`.

use grape_tests::http::Request;
use serde_json::{Value, json};

use super::Row;
use super::row::Want;

/// "Hello World!" of BEP 44's test vectors.
const HELLO: &str = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
/// SHA-1 of `0:`.
const EMPTY: &str = "b44b82a4bc6c35f6ad5e9fceefef9509c17fba74";
/// SHA-1 of `i5e`.
const FIVE: &str = "fd512d5838b7f0c9fa46debf0d0f0d0d28ea81a1";
/// SHA-1 of `d1:ai1e1:bl1:xi2eee`.
const OBJECT: &str = "fffe8ae59513f866c61d1943c88f94ed7dd7a475";
/// SHA-1 of `li1e3:twoe`.
const LIST: &str = "6ed13cc564f94c516add8b4d6fc2ecf1479dd1fa";
/// SHA-1 of `i0e`.
const ZERO: &str = "a6488b97c65e2fc2befd4261f70ac5570c7a7e42";
const NOBODYS: &str = "00112233445566778899aabbccddeeff00112233";

/// What may be put, what is got, and what not.
pub fn rows() -> Vec<Row> {
    let put = |what, data: Value| Row::data(what, "put", data);
    let get = |what, data: Value| Row::data(what, "get", data);
    let generic = || Want::Json(200, json!("ERR_GRAPE_GENERIC"));
    let too_long = || Want::Json(200, json!("v must be less than 1000 bytes in put()"));
    vec![
        get("an item that nobody put", json!(NOBODYS)),
        put("a text alone", json!("Hello World!")),
        put("a text as v", json!({ "v": "Hello World!" })),
        get("got where it was put", json!(HELLO)),
        get("got at the other Grape", json!(HELLO)).at_second(),
        get("got by hash", json!({ "hash": HELLO })).at_second(),
        get("got by hash with an idle salt", json!({ "hash": HELLO, "salt": "s" })).at_second(),
        get("got with cache", json!({ "hash": HELLO, "cache": true })).at_second(),
        get("got past the cache", json!({ "hash": HELLO, "cache": false })),
        get("got past the cache at the other", json!({ "hash": HELLO, "cache": false }))
            .at_second(),
        get("got past the cache, with salt", json!({ "hash": HELLO, "cache": false, "salt": "s" })),
        get("hex in capitals", json!(HELLO.to_uppercase())),
        put("an empty text", json!("")),
        put("an empty v", json!({ "v": "" })),
        get("the empty text got", json!(EMPTY)).at_second(),
        put("a number", json!({ "v": 5 })),
        put("a negative number", json!({ "v": -7 })),
        put("microseconds since the epoch", json!({ "v": 1_700_000_000_000_000_u64 })),
        put("a list", json!({ "v": [1, "two"] })),
        put("an empty list", json!({ "v": [] })),
        put("an object", json!({ "v": { "b": ["x", 2], "a": 1 } })),
        put("an object in an object", json!({ "v": { "a": { "b": 1 } } })),
        put("an empty object", json!({ "v": {} })),
        put("a text that is not ASCII", json!({ "v": "größe:日本:🍇" })),
        put(
            "fields that do not count",
            json!({ "v": "Hello World!", "seq": 5, "cas": "x", "sig": 1 }),
        ),
        put("an empty key makes no mutable item", json!({ "v": "Hello World!", "k": "" })),
        put("null for a key makes no mutable item", json!({ "v": "Hello World!", "k": null })),
        get("a number got", json!(FIVE)).at_second(),
        // Values that the original spoils on the way out.
        get("a list got", json!(LIST))
            .at_second()
            .differs(Want::Item(json!("1,two")), Want::Item(json!(r#"[1,"two"]"#))),
        get("an object got", json!(OBJECT)).at_second().differs(
            Want::Item(json!("[object Object]")),
            Want::Item(json!(r#"{"a":1,"b":["x",2]}"#)),
        ),
        // The length.
        put("999 bytes", json!({ "v": "v".repeat(999) })),
        put("1000 bytes", json!({ "v": "v".repeat(1000) })),
        put("1000 bytes alone", json!("v".repeat(1000))),
        put("998 bytes in 499 letters", json!({ "v": "é".repeat(499) })),
        put("1000 bytes in 500 letters", json!({ "v": "é".repeat(500) }))
            .differs(Want::Id, too_long()),
        put("a list of 1000", json!({ "v": vec![0; 1000] })),
        put("an object of 1000 bytes", json!({ "v": { "a": "v".repeat(1000) } }))
            .differs(Want::Id, too_long()),
        // What is no item.
        put("an empty item", json!({})),
        put("a list for an item", json!([])),
        put("a number for an item", json!(5)),
        put("true for an item", json!(true)),
        put("other fields", json!({ "foo": "bar" })),
        put("null", json!(null)).differs(Want::TypeError, generic()),
        Row::new("put: no data", Request::post("/put", "{}")).differs(Want::TypeError, generic()),
        Row::new("put: a list as body", Request::post("/put", "[]"))
            .differs(Want::TypeError, generic()),
        put("null for v", json!({ "v": null })).differs(Want::Reason, Want::Reason),
        put("a fraction", json!({ "v": 1.5 })).differs(Want::Id, Want::Reason),
        put("true", json!({ "v": true })).differs(Want::Id, Want::Reason),
        put("a fraction in a list", json!({ "v": [1.5] })).differs(Want::Id, Want::Reason),
        put("null in an object", json!({ "v": { "a": null } })).differs(Want::Id, Want::Reason),
        // The original waits for answers that never come.
        put("zero", json!({ "v": 0 })).differs(Want::Reason, Want::Json(200, json!(ZERO))),
        put("false", json!({ "v": false })).differs(Want::Reason, Want::Reason),
        // What is no question.
        get("a number", json!(123)),
        get("true", json!(true)),
        get("an empty object", json!({})),
        get("a list", json!([])),
        get("a number for a hash", json!({ "hash": 123 })),
        get("null for a hash", json!({ "hash": null })),
        get("a short hash", json!("abcd")),
        get("a long hash", json!(format!("{NOBODYS}00"))),
        get("a hash with something after", json!(format!("{HELLO}zz"))),
        get("a hash of digits", json!("1".repeat(40))),
        get("null", json!(null)).differs(Want::TypeError, generic()),
        Row::new("get: no data", Request::post("/get", "{}")).differs(Want::TypeError, generic()),
        Row::new("get: a text as body", Request::post("/get", "\"s\""))
            .differs(Want::TypeError, generic()),
    ]
}

/// Questions that leave no byte of a hash. Each is for a network of its own: the second of them
/// ends npm's Grape, by a key that its cache takes for none.
pub fn empty_hashes() -> Vec<Row> {
    let get = |what, data: Value| Row::data(what, "get", data);
    vec![
        get("an empty text", json!("")),
        get("no hex", json!("zzzz")),
        get("no hex for a hash", json!({ "hash": "zzzz" })),
    ]
}
