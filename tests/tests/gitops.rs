//! What Argo CD, Flux and `helm --wait` make of a GrapeCluster: the table of `docs/gitops.md`.
//!
//! Argo CD's script is run by the interpreter that Argo CD has, and kstatus is the library of Flux and
//! Helm, on the statuses that occur (`tests/gitops/statuses.json`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use grape_tests::kubernetes::script;
use serde_json::Value;

/// What each tool says of a status: Argo CD; Flux and `helm --wait`.
type Verdicts = BTreeMap<String, [String; 2]>;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rows of the table in the docs.
fn told() -> Verdicts {
    let page = include_str!("../../docs/gitops.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| status of a GrapeCluster"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let cells: Vec<_> =
            row.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect();
        let [status, argo, flux] = cells.try_into().unwrap_or_else(|_| panic!("{row}"));
        (status, [argo, flux])
    };
    rows.map(cells).collect()
}

/// What the tools say, with Argo CD's message too.
fn judged() -> BTreeMap<String, Value> {
    let folder = script::run(&mut Command::new(project().join("tests/gitops/build"))).unwrap();
    let statuses = File::open(project().join("tests/gitops/statuses.json")).unwrap();
    let mut health = Command::new(Path::new(&folder).join("health"));
    health.arg(project().join("examples/gitops/argocd-health.lua"));
    let output = health.stdin(statuses).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn each_status_is_to_the_tools_what_the_docs_say() {
    let mut found = Verdicts::new();
    for (status, verdict) in judged() {
        let text = |name: &str| verdict[name].as_str().unwrap().to_owned();
        assert_eq!(text("flux"), text("kstatus"), "{status}: the fork differs from the original");
        found.insert(status, [text("argoCd"), text("flux")]);
    }
    assert_eq!(told(), found);
}

#[test]
fn a_status_that_is_not_healthy_says_why_in_argo_cd() {
    for (status, verdict) in judged() {
        let message = verdict["message"].as_str().unwrap();
        assert!(message.len() > 20, "{status}: {message:?}");
    }
}

/// The docs have Argo CD's script as it stands, in the ConfigMap that Argo CD reads.
#[test]
fn the_docs_have_the_script_that_is_tested() {
    let page = include_str!("../../docs/gitops.md");
    let script = include_str!("../../examples/gitops/argocd-health.lua");
    let key = "resource.customizations.health.grenache.dev_GrapeCluster";
    let command = format!("--from-file={key}=examples/gitops/argocd-health.lua");
    assert!(page.contains(&command), "docs/gitops.md does not install the script by {command}");
    assert!(script.starts_with("-- "), "{script}");
}
