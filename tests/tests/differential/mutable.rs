//! Mutable items: versions, compare-and-set, and what is refused before it is stored.

use grape_tests::items::{Author, with};
use mainline::MutableItem;
use serde_json::{Value, json};

use super::Row;
use super::row::Want;

/// Versions of an item, with and without a salt, put at either Grape.
pub fn rows() -> Vec<Row> {
    let put = |what, data: Value| Row::data(what, "put", data);
    let get = |what, data: Value| Row::data(what, "get", data);
    let [plain, salted, counted] = [1, 2, 3].map(Author::new);
    let id = |author: &Author, salt: Option<&[u8]>| {
        let key = author.signing_key().verifying_key().to_bytes();
        hex::encode(MutableItem::target_from_key(&key, salt).as_bytes())
    };
    let (plain_id, salted_id) = (id(&plain, None), id(&salted, Some(b"books")));
    let microseconds = 1_700_000_000_000_000;
    let books = |value: &str, seq: i64| salted.item(value, seq, "books");
    let cas = |seq: i64, cas: i64| {
        with(counted.item(&format!("version {seq}"), seq, ""), "cas", json!(cas))
    };
    vec![
        get("not yet", json!(plain_id)),
        put("the first version", plain.item("version 1", 1, "")),
        get("got where it was put", json!(plain_id)),
        get("got at the other Grape", json!(plain_id)).at_second().by_anyone(),
        get("got by hash", json!({ "hash": plain_id })).at_second().by_anyone(),
        put("the next version", plain.item("version 2", 2, "")),
        get("the next version got", json!(plain_id)),
        get("the next version got at the other Grape", json!(plain_id)).at_second().by_anyone(),
        put("an older version", plain.item("version 1", 1, "")),
        put("another value in the same version", plain.item("other", 2, "")),
        get("still the next version", json!(plain_id)).at_second().by_anyone(),
        put("microseconds for a version", plain.item("late", microseconds, "")),
        get("the late version got", json!(plain_id)).at_second().by_anyone(),
        put("an empty value", plain.item("", microseconds + 1, "")),
        put("a value of 999 bytes", plain.item(&"v".repeat(999), microseconds + 2, "")),
        put("with a salt", books("version 1", 1)),
        get("got with the salt", json!({ "hash": salted_id, "salt": "books" })),
        get("got with the salt, held here", json!({ "hash": salted_id, "salt": "books" }))
            .at_second()
            .by_anyone()
            .by_anyone(),
        put("with a salt of 64 bytes", salted.item("long salt", 1, &"s".repeat(64))),
        put("compare and set the first version", cas(1, 0)),
        put("compare and set the next", cas(2, 1)),
        put("compare with a version gone by", cas(3, 1)),
        put("compare with a version to come", cas(3, 7)),
        put("equal cas, older version", cas(1, 2)),
        put("compare and set again", cas(4, 2)),
        // No node answers to a wrong signature in the original.
        put("another's signature", with(plain.item("x", 1, ""), "k", json!(counted.key())))
            .differs(Want::Json(200, json!("All queries failed")), Want::Reason),
        put("a signature over something else", with(books("x", 9), "v", json!("y")))
            .differs(Want::Json(200, json!("All queries failed")), Want::Reason),
        // The original has its own old copy for ever.
        put("put at the other Grape", Author::new(4).item("old", 1, "")).at_second(),
        put("put here, which the putter does not keep", Author::new(4).item("new", 2, "")),
        get("at the other Grape", json!(id(&Author::new(4), None))).at_second().by_anyone(),
        get("here", json!(id(&Author::new(4), None)))
            .differs(Want::Item(json!("old")), Want::Item(json!("new"))),
    ]
}

/// Items that are refused by the Grape that is asked, and which fault it names first.
pub fn refusals() -> Vec<Row> {
    let author = Author::new(5);
    let item = author.item("value", 1, "");
    let refused = |what, field: &str, value: Value| {
        Row::data(what, "put", with(author.item("value", 1, ""), field, value))
    };
    let bytes = author.signing_key().verifying_key().to_bytes();
    let id = hex::encode(MutableItem::target_from_key(&bytes, None).as_bytes());
    vec![
        refused("no value", "v", json!(null)),
        refused("a long value", "v", json!("v".repeat(1000))),
        refused("a long value with cas", "v", json!("v".repeat(1001))),
        refused("cas as text", "cas", json!("1")),
        refused("cas that is true", "cas", json!(true)),
        refused("a short key", "k", json!("00")),
        refused("a long key", "k", json!("00".repeat(33))),
        refused("a key that is no hex", "k", json!("zz")),
        refused("a key that is hex in part", "k", json!(format!("{}zz", "00".repeat(31)))),
        refused("no signature", "sig", json!(null)),
        refused("an empty signature", "sig", json!("")),
        refused("a long salt", "salt", json!("s".repeat(65))),
        refused("no seq", "seq", json!(null)),
        refused("seq as text", "seq", json!("1")),
        refused("seq that is true", "seq", json!(true)),
        // Which fault is named, when there are several.
        Row::data(
            "cas before the key",
            "put",
            json!({ "v": "v", "k": "00", "sig": "00", "cas": "1" }),
        ),
        Row::data("the key before the signature", "put", json!({ "v": "v", "k": "00" })),
        Row::data("the value before all", "put", json!({ "k": "00", "cas": "1" })),
        Row::data(
            "its length before cas",
            "put",
            with(with(item.clone(), "cas", json!("1")), "v", json!("v".repeat(1000))),
        ),
        Row::data(
            "the signature before the salt",
            "put",
            with(with(item.clone(), "sig", json!(null)), "salt", json!("s".repeat(65))),
        ),
        Row::data(
            "the salt before seq",
            "put",
            with(with(item.clone(), "seq", json!(null)), "salt", json!("s".repeat(65))),
        ),
        // These are accepted.
        Row::data(
            "a key as a list of bytes",
            "put",
            with(item.clone(), "k", json!(serde_json::to_string(&bytes[..]).unwrap())),
        ),
        Row::data("the same item, got", "get", json!(id)).at_second().by_anyone(),
    ]
}
