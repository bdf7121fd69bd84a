//! Names that people bring from other charts, and settings that the chart sets itself.

use std::collections::BTreeSet;
use std::path::Path;

use grape_tests::chart;
use serde_yaml::Value;

use crate::helm;

/// Whatever its value is, also one that a template takes for nothing.
#[test]
fn each_name_of_another_chart_fails_with_what_to_use_instead() {
    let names = chart::other_names().unwrap();
    assert!(names.len() <= 40, "{} names are more than one reads", names.len());
    let ours = chart::defaults().unwrap();
    for name in &names {
        for value in ["a", "false", "", "{}"] {
            let set = format!("--set={}={value}", name.name);
            let refusal = helm::refusal(helm::template(&[&set]));
            let words = format!("\n{}: use {}\n", name.name, name.instead);
            assert!(refusal.contains(&words), "{words:?} is not in {refusal}");
        }
        for instead in name.instead.split([',', ' ']).filter(|it| !it.is_empty()) {
            let section = format!("{instead}.");
            let is_ours = ours.keys().any(|it| it == instead || it.starts_with(&section));
            assert!(is_ours || matches!(instead, "and" | "or"), "there is no value {instead}");
        }
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let set = "--set=replicaCount=3,pdb.create=true,extraArgs={--lease-name=a}";
    let refusal = helm::refusal(helm::template(&[set]));
    let told = "these values cannot be used:\npdb: use podDisruptionBudget\n\
                replicaCount: use replicas\nextraArgs[0] is --lease-name=a: use fullnameOverride\n";
    assert!(refusal.contains(told), "{refusal}");
}

/// A flag that is missing in files/settings.yaml could be given twice, and the operator would not start.
#[test]
fn the_chart_knows_every_flag_of_the_operator() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let page = std::fs::read_to_string(page).unwrap();
    let help = page.split("\n## grape-operator run\n").nth(1).unwrap();
    let help = help.split("\n## ").next().unwrap();
    let mut flags = Vec::new();
    let mut variables = BTreeSet::new();
    for line in help.lines().map(str::trim_start) {
        if let Some(rest) = line.strip_prefix("--") {
            flags.push(format!("--{}", rest.split(' ').next().unwrap()));
        } else if let Some(rest) = line.strip_prefix("[env: ") {
            variables.insert(rest.split('=').next().unwrap().to_owned());
        }
    }
    let settings: Vec<Value> = serde_yaml::from_str(&helm::file("files/settings.yaml")).unwrap();
    let of =
        |field: &'static str| settings.iter().map(move |it| it[field].as_str().unwrap().to_owned());
    assert_eq!(of("flag").collect::<Vec<_>>(), flags);
    assert_eq!(of("variable").collect::<BTreeSet<_>>(), variables);
    let ours = chart::defaults().unwrap();
    for value in settings.iter().map(|it| it["value"].as_str().unwrap()) {
        let section = format!("{value}.");
        let is_ours = ours.keys().any(|it| it == value || it.starts_with(&section));
        assert!(is_ours || value.is_empty(), "there is no value {value}");
    }
}
