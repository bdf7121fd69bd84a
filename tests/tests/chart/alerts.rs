//! The alerts, by promtool.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use grape_tests::kubernetes::script;
use rstest::rstest;
use serde_yaml::Value;

use crate::helm::{self, Rendered};

/// Checks: syntax, durations, and the templates of the annotations.
#[test]
fn prometheus_takes_the_rules_that_are_deployed() {
    let deployed = deployed();
    let file: Value = serde_yaml::from_str(&helm::file("files/alerts.yaml")).unwrap();
    assert_eq!(deployed, file);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &deployed);
    let told = promtool(folder.path(), &["check", "rules", "--lint-fatal", "alerts.yaml"]);
    assert!(told.contains("17 rules found"), "{told}");
}

#[test]
fn the_readme_lists_every_alert() {
    let readme = helm::file("README.md");
    for alert in alerts(&deployed()) {
        let (name, severity) = (&alert["alert"], &alert["labels"]["severity"]);
        let (name, severity) = (name.as_str().unwrap(), severity.as_str().unwrap());
        let row = readme.lines().find(|line| line.starts_with(&format!("| {name} |")));
        assert!(row.is_some_and(|row| row.ends_with(&format!(" {severity} |"))), "{name}: {row:?}");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    for alert in alerts(&deployed()) {
        let name = &alert["alert"];
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["warning", "critical"].contains(&severity), "{name:?}");
        assert!(alert["annotations"]["summary"].as_str().unwrap().ends_with('.'), "{name:?}");
        let description = alert["annotations"]["description"].as_str().unwrap();
        assert!(description.contains("What to do: "), "{name:?}");
        assert!(!alert["for"].is_null(), "{name:?} fires at the first sign");
    }
}

#[test]
fn every_alert_has_a_runbook() {
    const HEADINGS: [&str; 5] = [
        "## What it means",
        "## What users notice",
        "## How to find the cause",
        "## How to fix it",
        "## When it ends",
    ];
    let names: BTreeSet<_> = alerts(&deployed()).map(name).collect();
    for name in &names {
        let page = fs::read_to_string(runbook(name))
            .unwrap_or_else(|error| panic!("docs/runbooks/{name}.md: {error}"));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        let headings: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
    }
    let pages: BTreeSet<_> = fs::read_dir(runbook("README").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|page| page != "README")
        .collect();
    assert_eq!(pages, names, "a runbook without an alert");
}

#[rstest]
#[case("https://example.org/docs")]
#[case("https://example.org/docs/")]
fn with_docs_url_every_alert_links_its_runbook(#[case] url: &str) {
    let set = format!("--set=prometheusRule.enabled=true,docsUrl={url}");
    let mut rules = Rendered::of(&[&set]).one_of_kind("PrometheusRule")["spec"].clone();
    for group in rules["groups"].as_sequence_mut().unwrap() {
        for alert in group["rules"].as_sequence_mut().unwrap() {
            let name = name(alert);
            let link = alert["annotations"].as_mapping_mut().unwrap().remove("runbook_url");
            let link = link.unwrap_or_else(|| panic!("{name} has no runbook_url"));
            let page = link.as_str().unwrap().strip_prefix("https://example.org/docs/runbooks/");
            assert_eq!(page, Some(&*format!("{name}.md")));
            assert!(runbook(&name).exists(), "{name}");
        }
    }
    assert_eq!(rules, deployed(), "docsUrl changes nothing else");
}

#[test]
fn without_docs_url_no_alert_links_a_runbook() {
    for alert in alerts(&deployed()) {
        assert!(alert["annotations"].get("runbook_url").is_none(), "{alert:?}");
    }
}

#[test]
fn every_alert_fires_when_it_should_and_is_silent_when_all_is_well() {
    let mut rules = deployed();
    let tests: Value = serde_yaml::from_str(include_str!("alerts.test.yaml")).unwrap();
    let names: BTreeSet<_> =
        alerts(&rules).map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
    let groups = tests["tests"].as_sequence().unwrap();
    assert_eq!(asserted(&groups[..1], true), names, "all is well: each is silent");
    assert_eq!(asserted(groups, false), names, "each fires in one of the others");

    // The tests would have to repeat them word by word.
    for group in rules["groups"].as_sequence_mut().unwrap() {
        for alert in group["rules"].as_sequence_mut().unwrap() {
            alert["annotations"].as_mapping_mut().unwrap().remove("description").unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &rules);
    fs::write(folder.path().join("test.yaml"), include_str!("alerts.test.yaml")).unwrap();
    promtool(folder.path(), &["test", "rules", "test.yaml"]);
}

/// The alerts of which these tests say that they are silent, or that they fire.
fn asserted(groups: &[Value], silent: bool) -> BTreeSet<String> {
    let rules = groups.iter().flat_map(|group| group["alert_rule_test"].as_sequence().unwrap());
    let of_kind =
        rules.filter(|rule| rule["exp_alerts"].as_sequence().unwrap().is_empty() == silent);
    of_kind.map(|rule| rule["alertname"].as_str().unwrap().to_owned()).collect()
}

/// The rules as the chart deploys them.
fn deployed() -> Value {
    Rendered::of(&["--set=prometheusRule.enabled=true"]).one_of_kind("PrometheusRule")["spec"]
        .clone()
}

fn alerts(rules: &Value) -> impl Iterator<Item = &Value> {
    let groups = rules["groups"].as_sequence().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_sequence().unwrap())
}

/// An alert's name.
fn name(alert: &Value) -> String {
    alert["alert"].as_str().unwrap().to_owned()
}

/// The page of an alert.
fn runbook(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbooks");
    folder.join(format!("{name}.md"))
}

fn write(folder: &Path, rules: &Value) {
    fs::write(folder.join("alerts.yaml"), serde_yaml::to_string(rules).unwrap()).unwrap();
}

fn promtool(folder: &Path, arguments: &[&str]) -> String {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        script::run(Command::new(script::path("tools/install")).arg("chart")).unwrap();
    });
    let output = Command::new("promtool").args(arguments).current_dir(folder).output().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(output.status.success(), "{told}");
    told
}
