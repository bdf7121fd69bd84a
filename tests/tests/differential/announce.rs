//! `announce`, and what is found then.

use grape_tests::http::Request;
use serde_json::{Value, json};

use super::Row;
use super::row::Want;

/// What may be announced, and what not.
pub fn rows() -> Vec<Row> {
    let announce = |what, data: Value| Row::data(what, "announce", data);
    let lookup = |what, data: Value| Row::data(what, "lookup", data);
    let name = || Want::Json(200, json!("ERR_GRAPE_ANNOUNCE"));
    vec![
        // Not a name with a port.
        Row::new("no data", Request::post("/announce", r#"{"rid":"r"}"#)),
        announce("null", json!(null)),
        announce("a name alone", json!("rest:util:net")),
        announce("a number", json!(5)),
        announce("an object", json!({ "0": "rest:util:net", "1": 7000 })),
        announce("an empty list", json!([])),
        announce("no port", json!(["rest:util:net"])),
        announce("a port as text", json!(["rest:util:net", "7000"])),
        announce("a port that is null", json!(["rest:util:net", null])),
        announce("a port that is true", json!(["rest:util:net", true])),
        announce("a port with a fraction", json!(["rest:util:net", 7000.5])),
        announce("a port in a list", json!(["rest:util:net", [7000]])),
        announce("neither name nor port", json!([null, null])),
        announce("a number for a name and no port", json!([5, "7000"])),
        lookup("so nothing is found", json!("rest:util:net")),
        announce("a name that is null", json!([null, 7000])).differs(Want::TypeError, name()),
        announce("a name that is a number", json!([5, 7000])).differs(Want::TypeError, name()),
        announce("a name that is true", json!([true, 7000])).differs(Want::TypeError, name()),
        announce("a name that is an object", json!([{}, 7000])).differs(Want::TypeError, name()),
        // A name with a port.
        announce("announced", json!(["rest:util:net", 7000])),
        announce("announced again", json!(["rest:util:net", 7000])),
        lookup("found where it was announced", json!("rest:util:net")),
        lookup("found at the other Grape", json!("rest:util:net")).at_second(),
        announce("announced at another port", json!(["rest:util:net", 7001])),
        announce("announced at the other Grape", json!(["rest:util:net", 7002])).at_second(),
        lookup("all three found", json!("rest:util:net")),
        lookup("all three found at the other Grape", json!("rest:util:net")).at_second(),
        announce("the lowest port", json!(["low", 1])),
        announce("the highest port", json!(["high", 65535])),
        lookup("the lowest port found", json!("low")).at_second(),
        lookup("the highest port found", json!("high")).at_second(),
        announce("port 0 is the DHT's", json!(["the:dht", 0])),
        lookup("the DHT's port found", json!("the:dht")),
        lookup("the DHT's port found at the other Grape", json!("the:dht")).at_second(),
        announce("more than a name and a port", json!(["more", 7003, "more", {}])),
        lookup("the first two count", json!("more")).at_second(),
        Row::new("a whole port", Request::post("/announce", r#"{"data":["whole",7004.0]}"#)),
        Row::new("an exponent", Request::post("/announce", r#"{"data":["exponent",7.005e3]}"#)),
        lookup("a whole port found", json!("whole")).at_second(),
        lookup("a port with an exponent found", json!("exponent")).at_second(),
        announce("a name that is not ASCII", json!(["größe:日本:🍇", 7006])),
        lookup("it is found", json!("größe:日本:🍇")).at_second(),
        announce("a name of 300 bytes", json!(["n".repeat(300), 7007])),
        lookup("it is found by its length", json!("n".repeat(300))).at_second(),
        lookup("one of 299 bytes is another", json!("n".repeat(299))).at_second(),
        announce("a name of spaces", json!(["   ", 7008])),
        lookup("spaces are found", json!("   ")).at_second(),
        announce("a name in capitals", json!(["Capitals", 7009])),
        lookup("small letters are another name", json!("capitals")).at_second(),
    ]
}

/// Ports that no service can have. The original asks the network, and waits for answers that never
/// come; bound to an address, it ends.
pub fn impossible_ports() -> Vec<Row> {
    let port = || Want::Json(200, json!("ERR_GRAPE_SERVICE_PORT"));
    let failed = || Want::Json(200, json!("All queries failed"));
    let announce = |what, port: i64| Row::data(what, "announce", json!(["no:port", port]));
    vec![
        announce("port 65536", 65536).differs(failed(), port()),
        announce("port 70000", 70000).differs(failed(), port()),
        announce("port -5", -5).differs(failed(), port()),
        Row::data("nothing was announced", "lookup", json!("no:port")),
    ]
}
