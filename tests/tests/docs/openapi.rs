//! `sidecar/src/http/openapi.json`, which a Grape serves at `/openapi.json`: made from
//! `openapi.yaml` and the types of the code, and compared with what a Grape answers.

use std::collections::BTreeSet;
use std::path::Path;

use grape::http::StatusPage;
use grape::services::Withdrawal;
use grape_tests::grape::Kind;
use grape_tests::http::{self, Request};
use grape_tests::network::{Network, Shape};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::compare;

/// The document, with the schemas of the code's types.
fn document() -> Value {
    let mut document: Value = serde_yaml::from_str(include_str!("openapi.yaml")).unwrap();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    generator.subschema_for::<StatusPage>();
    generator.subschema_for::<Withdrawal>();
    for (name, schema) in generator.take_definitions(true) {
        document["components"]["schemas"][name] = schema;
    }
    document
}

/// The schema of a JSON answer with this status, for answers to be checked by.
fn of_answer(document: &Value, path: &str, method: &str, status: &str) -> Validator {
    let schema = &document["paths"][path][method]["responses"][status]["content"]["application/json"]
        ["schema"];
    assert!(schema.is_object(), "{method} {path} has no schema for {status}");
    // References in it point into the document.
    let root = json!({"allOf": [schema], "components": document["components"]});
    jsonschema::validator_for(&root).unwrap()
}

#[test]
fn the_file_that_a_grape_serves_is_made_from_the_code() {
    let mut wanted = serde_json::to_string_pretty(&document()).unwrap();
    wanted.push('\n');
    compare("../sidecar/src/http/openapi.json", &wanted);
}

#[tokio::test]
async fn answers_match_the_openapi_document() {
    let network = Network::start(Shape::Star, &[Kind::Ours; 2]).await.unwrap();
    let address = network.grapes[0].api();
    let served = http::send(address, &Request::get("/openapi.json")).await.unwrap();
    let served: Value = serde_json::from_str(&served.body).unwrap();
    assert_eq!(served, document());

    let post = async |path: &str, data: Value| {
        let body = json!({"rid": 1, "data": data}).to_string();
        let reply = http::send(address, &Request::post(path, body)).await.unwrap();
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        let checked = of_answer(&served, path, "post", &reply.status.to_string());
        assert!(checked.is_valid(&answer), "{path} {data}: {answer}");
        answer
    };
    assert!(post("/announce", json!(["rpc_test", 7070])).await.is_number());
    assert!(post("/announce", json!(["rpc_test", 65536])).await.is_string());
    assert_eq!(post("/lookup", json!("rpc_test")).await, json!(["127.0.0.1:7070"]));
    assert!(post("/lookup", json!(7)).await.is_string());
    let hash = post("/put", json!({"v": "hello"})).await;
    assert_eq!(post("/get", hash).await["v"], "hello");
    assert!(post("/get", Value::Null).await.is_string());
    assert!(post("/withdraw", json!(["rpc_test", 7070])).await.is_number());

    let status = http::send(address, &Request::get("/status")).await.unwrap();
    let status: Value = serde_json::from_str(&status.body).unwrap();
    assert!(of_answer(&served, "/status", "get", "200").is_valid(&status), "{status}");
    // Nothing that it answers is left out of the schema.
    let schema = &served["components"]["schemas"]["StatusPage"]["properties"];
    let names = |object: &Value| -> BTreeSet<String> {
        object.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&status), names(schema));
    let drained = http::send(address, &Request::post("/drain", "")).await.unwrap();
    let drained: Value = serde_json::from_str(&drained.body).unwrap();
    assert!(of_answer(&served, "/drain", "post", "200").is_valid(&drained), "{drained}");
}

#[tokio::test]
async fn each_path_of_the_document_is_served() {
    let network = Network::start(Shape::Star, &[Kind::Ours]).await.unwrap();
    let address = network.grapes[0].api();
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        // It is at the admin port alone, which a Grape on a laptop does not have.
        // The events of a group do not end.
        if path == "/introduce" || path.ends_with("/events") {
            continue;
        }
        let request = match methods.get("get") {
            Some(_) => Request::get(path),
            None => Request::post(path, r#"{"data": null}"#),
        };
        let reply = http::send(address, &request).await.unwrap();
        assert_ne!(reply.body, "\"ERR_REQ_NOTFOUND\"", "{path}");
    }
    // The page for people has the same paths.
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http-api.md");
    let page = std::fs::read_to_string(page).unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(page.contains(path.as_str()), "docs/http-api.md does not have {path}");
    }
}
