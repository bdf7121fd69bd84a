//! What is the same for all verbs: paths, methods, headers, the envelope, the body's limit.

use grape_tests::http::Request;
use serde_json::json;

use super::Row;
use super::row::Want;

/// A body that any verb but the unknown takes for a name.
const BODY: &str = r#"{"rid":"a-request","data":"rest:util:net"}"#;

fn post(what: &'static str, path: &str) -> Row {
    Row::new(what, Request::post(path, BODY))
}

fn body(what: &'static str, body: impl Into<Vec<u8>>) -> Row {
    Row::new(what, Request::post("/lookup", body))
}

/// Paths, methods, headers and envelopes.
pub fn rows() -> Vec<Row> {
    let request = || Request::post("/lookup", BODY);
    vec![
        post("a plain lookup", "/lookup"),
        // The path is folded as lodash's camelCase does.
        post("a capital", "/Lookup"),
        post("an underscore before", "/_lookup"),
        post("a hyphen before", "/-lookup"),
        post("two underscores before", "/__lookup"),
        post("hyphens before", "/--lookup"),
        post("a hyphen after", "/lookup-"),
        post("an underscore after", "/lookup_"),
        post("both before, with a capital", "/_-Lookup"),
        post("a hyphen within makes another verb", "/look-up"),
        post("an underscore within makes another verb", "/look_up"),
        post("a capital within makes another verb", "/lookUp"),
        post("a slash after", "/lookup/"),
        post("two slashes before", "//lookup"),
        post("a query", "/lookup?x=1"),
        post("all capitals", "/LOOKUP"),
        post("an escaped letter", "/%6Cookup"),
        post("an escaped space", "/lookup%20"),
        post("a dot", "/lookup.json"),
        post("no verb", "/"),
        post("another verb", "/nope"),
        post("a part of a verb", "/look"),
        post("a property of every object", "/constructor"),
        post("another capital", "/Announce"),
        post("put folded", "/_Put"),
        post("get folded", "/-Get"),
        // The method is ignored.
        Row::new("a PUT", request().method("PUT")),
        Row::new("a DELETE", request().method("DELETE")),
        Row::new("a PATCH", request().method("PATCH")),
        Row::new("an OPTIONS", request().method("OPTIONS")),
        Row::new("a GET with a body", request().method("GET")),
        Row::new("a HEAD with a body", request().method("HEAD")),
        Row::new("a GET without a body", Request::get("/lookup")),
        Row::new("a GET of nothing", Request::get("/")),
        Row::new("a POST without a body", Request::get("/lookup").method("POST")),
        // Headers are ignored, but for those of web pages.
        Row::new("another type", request().header("content-type", "text/plain")),
        Row::new("an encoding that is none", request().header("content-encoding", "gzip")),
        Row::new("another origin", request().header("origin", "http://elsewhere.example")).differs(
            Want::Such(|status, _| status == 200),
            Want::Such(|status, body| status == 403 && body.contains("--api-origin")),
        ),
        Row::new("expects to be told to go on", request().header("expect", "100-continue")),
        // The envelope.
        body("no rid", r#"{"data":"rest:util:net"}"#),
        body("a rid of another type", r#"{"rid":{"a":[1]},"data":"rest:util:net"}"#),
        body("more fields", r#"{"rid":"r","data":"rest:util:net","more":1}"#),
        body("data twice", r#"{"data":5,"data":"rest:util:net"}"#),
        body("space around", " \r\n\t{ \"data\" : \"rest:util:net\" } \n"),
        body("escapes", r#"{"d\u0061ta":"rest\u003autil:net"}"#),
        body("no JSON", "garbage"),
        body("half an object", r#"{"data":"rest"#),
        body("something after", r#"{"data":"rest:util:net"} x"#),
        body("a comma too much", r#"{"data":"rest:util:net",}"#),
        body("single quotes", "{'data':'rest:util:net'}"),
        body("a byte order mark", "\u{feff}{\"data\":\"rest:util:net\"}"),
        body("an empty body", ""),
        body("a space", " "),
        body("an empty list", "[]"),
        body("a number", "5"),
        body("a text", r#""s""#),
        body("true", "true"),
        body("false", "false"),
        body("an empty object", "{}"),
        Row::new("announce: a list as body", Request::post("/announce", r#"["name",7000]"#)),
        Row::new("announce: a number as body", Request::post("/announce", "5")),
        Row::new("unknown path, and no JSON", Request::post("/nope", "garbage")),
        body("null", "null").differs(Want::TypeError, Want::Text(500, "ERR_GRAPE_PAYLOAD_INVALID")),
        Row::new("unknown path, and null", Request::post("/nope", "null"))
            .differs(Want::TypeError, Want::Text(500, "ERR_GRAPE_PAYLOAD_INVALID")),
    ]
}

/// Paths that npm's Grape does not have.
pub fn paths_of_our_own() -> Vec<Row> {
    let unknown = || Want::Json(200, json!("ERR_REQ_NOTFOUND"));
    let no_body = || Want::Text(500, "ERR_GRAPE_PAYLOAD_INVALID");
    vec![
        Row::new("healthy", Request::get("/healthz"))
            .differs(no_body(), Want::Such(|status, _| status == 200)),
        Row::new("ready", Request::get("/readyz"))
            .differs(no_body(), Want::Such(|status, _| status == 200)),
        Row::new("status", Request::get("/status")).differs(
            no_body(),
            Want::Such(|status, body| status == 200 && body.contains("\"id\"")),
        ),
        Row::new("metrics", Request::get("/metrics")).differs(
            no_body(),
            Want::Such(|status, body| status == 200 && body.contains("# TYPE")),
        ),
        Row::data("announced", "announce", json!(["taken:back", 7301])),
        Row::data("found", "lookup", json!("taken:back")),
        Row::data("withdrawn", "withdraw", json!(["taken:back", 7301]))
            .differs(unknown(), Want::Json(200, json!(1))),
        Row::data("found no more", "lookup", json!("taken:back"))
            .differs(Want::Json(200, json!(["127.0.0.1:7301"])), Want::Json(200, json!([]))),
        Row::data("found no more elsewhere", "lookup", json!("taken:back"))
            .at_second()
            .differs(Want::Json(200, json!(["127.0.0.1:7301"])), Want::Json(200, json!([]))),
        Row::data("withdrawn without a port", "withdraw", json!(["taken:back"]))
            .differs(unknown(), Want::Reason),
    ]
}

/// Bodies of the largest size, and of one byte more.
pub fn limits() -> Vec<Row> {
    let padded = |length: usize| format!("{BODY}{}", " ".repeat(length - BODY.len()));
    let chunked = |length: usize| {
        let mut request = Request::get("/lookup").method("POST");
        request = request.header("transfer-encoding", "chunked");
        request.trailing = format!("{length:x}\r\n{}\r\n0\r\n\r\n", padded(length)).into_bytes();
        request
    };
    vec![
        Row::new("8192 bytes", Request::post("/lookup", padded(8192))),
        Row::new("8193 bytes", Request::post("/lookup", padded(8193))),
        Row::new("8193 bytes for no verb", Request::post("/nope", padded(8193))),
        Row::new("8193 bytes that are no JSON", Request::post("/lookup", "x".repeat(8193))),
        Row::new("8192 bytes that are no JSON", Request::post("/lookup", "x".repeat(8192))),
        Row::new("8193 bytes by GET", Request::post("/lookup", padded(8193)).method("GET")),
        Row::new("two megabytes", Request::post("/lookup", padded(2_000_000))),
        Row::new("8192 bytes in a chunk", chunked(8192)),
        Row::new("8193 bytes in a chunk", chunked(8193)),
    ]
}
