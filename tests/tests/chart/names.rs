//! Names of releases and namespaces: those that YAML could read as something else, and those that no
//! object of the chart can have.

use rstest::rstest;

use crate::helm::{self, Rendered};

/// All that is rendered for a release in a namespace, as JSON.
fn rendered(release: &str, namespace: &str, more: &[&str]) -> String {
    let monitored = helm::values("monitored.yaml");
    let arguments = [&["--values", &monitored], more].concat();
    let yaml = helm::printed(helm::template_of(release, namespace, &arguments));
    let objects = Rendered::parse(&yaml);
    serde_json::to_string(objects.objects()).unwrap()
}

/// YAML 1.1, which API servers and Helm read, has more words for true, false and numbers than 1.2.
/// That they are texts to them too is shown at a real API server: `server.rs`.
#[rstest]
fn a_namespace_is_a_text_whatever_its_name(
    #[values("2024", "1e3", "0x1f", "true", "null", "no", "on", "y", "0o17", "12e03")] name: &str,
) {
    let usual = rendered("grapes", "some-namespace", &[]);
    assert!(usual.contains("some-namespace"));
    assert_eq!(rendered("grapes", name, &[]), usual.replace("some-namespace", name));
}

#[rstest]
fn a_release_is_a_text_whatever_its_name(#[values("42", "1e3", "no", "true", "null")] name: &str) {
    let named = ["--set=fullnameOverride=grapes"];
    let usual = rendered("some-release", "ops", &named);
    assert!(usual.contains("some-release"));
    assert_eq!(rendered(name, "ops", &named), usual.replace("some-release", name));
}

#[rstest]
fn a_watched_namespace_is_a_text_whatever_its_name(
    #[values("2024", "1e3", "true", "no")] name: &str,
) {
    let watched = |name: &str| {
        let set = format!("--set-string=watchNamespaces={{{name}}}");
        rendered("grapes", "ops", &[&set, "--set=webhook.enabled=true"])
    };
    let usual = watched("some-namespace");
    assert!(usual.contains("--watch-namespaces=some-namespace"));
    assert_eq!(watched(name), usual.replace("some-namespace", name));
}

#[rstest]
#[case::begins_with_a_digit("1grape", "1grape-grape-operator")]
#[case::with_a_dot("my.release", "my.release-grape-operator")]
#[case::a_number("42", "42-grape-operator")]
fn a_release_whose_service_could_not_be_is_refused(#[case] release: &str, #[case] name: &str) {
    let refusal = helm::refusal(helm::template_of(release, "ops", &[]));
    assert!(refusal.contains(&format!("would be named \"{name}\"")), "{refusal}");
    assert!(refusal.contains("Set fullnameOverride, as in --set fullnameOverride="), "{refusal}");
    helm::printed(helm::template_of(release, "ops", &["--set=fullnameOverride=grapes"]));
}
