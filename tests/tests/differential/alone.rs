//! A Grape that knows no other: the original can do nothing with it, ours serves its host.

use serde_json::{Value, json};

use super::Row;
use super::row::Want;

/// "Hello World!" of BEP 44's test vectors.
const HELLO: &str = "e5f96f6f38320f0f33959cb4d3d656452117aadb";

/// Every verb.
pub fn rows() -> Vec<Row> {
    let lookup = |what, data: Value| Row::data(what, "lookup", data);
    let nobody = || Want::Json(200, json!("No nodes to query"));
    let both = || {
        Want::Such(|status, body| {
            let one = r#"["127.0.0.1:7001","127.0.0.1:7002"]"#;
            let other = r#"["127.0.0.1:7002","127.0.0.1:7001"]"#;
            status == 200 && (body == one || body == other)
        })
    };
    vec![
        lookup("nothing announced yet", json!("alone")),
        Row::data("get of nothing", "get", json!(HELLO)),
        Row::data("announce", "announce", json!(["alone", 7001]))
            .differs(nobody(), Want::Json(200, json!(0))),
        // In the original the second attempt fares no better, and finds the announcer itself.
        Row::data("announce again", "announce", json!(["alone", 7001]))
            .differs(nobody(), Want::Json(200, json!(0))),
        Row::data("another port", "announce", json!(["alone", 7002]))
            .differs(nobody(), Want::Json(200, json!(0))),
        lookup("what was announced", json!("alone"))
            .differs(Want::Such(|status, body| status == 200 && body.contains("7001")), both()),
        lookup("another name", json!("not:alone")),
        Row::data("put", "put", json!("Hello World!"))
            .differs(nobody(), Want::Json(200, json!(HELLO))),
        Row::data("get", "get", json!(HELLO))
            .differs(Want::Item(json!("Hello World!")), Want::Item(json!("Hello World!"))),
        Row::data("refused all the same", "announce", json!(["alone", "7001"])),
        Row::data("an empty put", "put", json!({})),
        lookup("no name", json!("")),
    ]
}
