//! The definition of `GrapeCluster` that the API server gets, tested without one.

use kube_core::cel::validate_cel_schema;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

#[test]
fn every_field_describes_its_default() {
    let fields = describe::Fields::new();
    let mut untold = Vec::new();
    let folders =
        ["dht", "api", "networkPolicy", "monitoring", "injection", "injection.namespaces"];
    let folders = folders.map(|folder| format!("spec.{folder}"));
    for folder in folders.iter().map(String::as_str).chain(["spec"]) {
        for name in fields.inside(folder) {
            let path = format!("{folder}.{name}");
            let field = fields.schema(&path).unwrap();
            let told = field["description"].as_str().unwrap();
            let default = match &field["default"] {
                Value::String(text) => text.clone(),
                Value::Bool(value) => value.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Array(items) if items.is_empty() => "none".to_owned(),
                // Its own fields have theirs; and what may be missing has none.
                Value::Object(_) | Value::Null => continue,
                other => panic!("{path} has the default {other}"),
            };
            if !told.contains(&format!("Defaults to {default}")) {
                untold.push(path);
            }
        }
    }
    assert_eq!(untold, Vec::<String>::new());
}

#[test]
fn descriptions_are_lines_that_kubectl_can_wrap() {
    let fields = describe::Fields::new();
    let told = fields.schema("spec.dht.bootstrap").unwrap()["description"].as_str().unwrap();
    assert!(!told.contains('\n'), "{told}");
}

#[test]
fn the_defaults_pass_the_rules() {
    let spec = serde_json::to_value(GrapeClusterSpec::default()).unwrap();
    validate_cel_schema::<GrapeClusterSpec>(&spec, None).unwrap();
}

#[rstest]
#[case::age_short("peerMaxAge", json!("999ms"), "a duration from 1s to 24h")]
#[case::age_long("nodeLiveness", json!("25h"), "a duration from 1s to 24h")]
#[case::port_none("bootstrap", json!(["a:1", "b:0"]), "must be HOST:PORT with a port from 1 to 65535")]
#[case::port_large("bootstrap", json!(["a:65536"]), "must be HOST:PORT with a port from 1 to 65535")]
fn specs_that_break_a_rule_are_refused(
    #[case] field: &str,
    #[case] value: Value,
    #[case] message: &str,
) {
    let mut spec = serde_json::to_value(GrapeClusterSpec::default()).unwrap();
    spec["dht"][field] = value;
    let refusal = validate_cel_schema::<GrapeClusterSpec>(&spec, None).unwrap_err().to_string();
    assert!(refusal.contains(message), "{refusal}");
}

#[rstest]
#[case("peerMaxAge", json!("1s"))]
#[case("peerMaxAge", json!("24h"))]
#[case("peerMaxAge", json!("1h30m"))]
#[case("bootstrap", json!(["old-grape.prod:20001", "[2001:db8::1]:1", "10.0.0.1:65535"]))]
fn specs_that_keep_the_rules_pass(#[case] field: &str, #[case] value: Value) {
    let mut spec = serde_json::to_value(GrapeClusterSpec::default()).unwrap();
    spec["dht"][field] = value;
    validate_cel_schema::<GrapeClusterSpec>(&spec, None).unwrap();
}
