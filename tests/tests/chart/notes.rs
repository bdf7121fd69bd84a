//! What `helm install` prints: its steps, taken to the letter, make a cluster that works.

use super::helm::{chart, printed};

/// The notes of a release in the namespace `ops`.
fn notes(arguments: &[&str]) -> String {
    let chart = chart();
    let install = ["install", "grape-operator", chart.to_str().unwrap(), "--namespace=ops"];
    let printed = printed([&install, arguments, &["--dry-run=client"]].concat());
    printed.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

/// The namespaces of what the steps make: what they name but for the operator's Deployment and test.
fn namespaces(notes: &str) -> Vec<&str> {
    let steps = &notes[notes.find("2. Create").unwrap()..];
    let named = steps.lines().filter_map(|line| {
        let (_, named) = line.split_once(" -n ").or_else(|| line.split_once("namespace: "))?;
        named.split_whitespace().next()
    });
    named.collect()
}

#[test]
fn services_and_their_grapes_get_a_namespace_of_their_own() {
    let notes = notes(&[]);
    let made = notes.find("kubectl create namespace market\n").unwrap();
    assert!(made < notes.find("kubectl apply").unwrap(), "{notes}");
    assert_eq!(namespaces(&notes), ["market"; 4], "{notes}");
}

#[test]
fn with_namespaces_to_watch_it_is_one_of_those() {
    let trade = notes(&["--set=watchNamespaces={ops,trade}", "--set=webhook.enabled=true"]);
    assert!(!trade.contains("create namespace"), "they have to exist: {trade}");
    assert_eq!(namespaces(&trade), ["trade"; 4], "{trade}");
    let own = notes(&["--set=watchNamespaces={ops}"]);
    assert_eq!(namespaces(&own), ["ops"; 3], "there is no other: {own}");
    assert!(own.contains("Pods get no sidecar by a label: webhook.enabled is auto"), "{own}");
}
