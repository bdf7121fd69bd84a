//! What the packaged chart says of itself agrees with the project.

use std::process::Command;

use grape_cluster::GrapeCluster;
use grape_tests::kubernetes::helm;
use serde::Deserialize;
use serde_yaml::Value;

use super::{VERSION, dist, project, said};

/// The `Chart.yaml` of the package.
fn metadata() -> Value {
    let package = dist().join(format!("charts/grape-operator-{VERSION}.tgz"));
    let text = said(helm::command().unwrap().args(["show", "chart"]).arg(package));
    serde_yaml::from_str(&text).unwrap()
}

/// An annotation for Artifact Hub, whose value is YAML itself.
fn annotation(name: &str) -> Value {
    let metadata = metadata();
    let text = metadata["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap();
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"))
}

fn yaml(file: &str) -> Value {
    let text = std::fs::read_to_string(project().join(file)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

#[test]
fn its_images_are_those_that_it_installs() {
    let values = yaml("charts/grape-operator/values.yaml");
    let named = |image: &str| {
        let repository = values[image]["repository"].as_str().unwrap();
        Value::from(format!("{repository}:{VERSION}"))
    };
    let images = annotation("images");
    let found: Vec<_> =
        images.as_sequence().unwrap().iter().map(|each| each["image"].clone()).collect();
    assert_eq!(found, [named("image"), named("grapeImage")]);
}

#[test]
fn its_changes_are_those_of_the_changelog() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Change {
        kind: String,
        description: String,
    }

    let changes: Vec<Change> = serde_yaml::from_value(annotation("changes")).unwrap();
    let section = std::fs::read_to_string(dist().join("CHANGES.md")).unwrap();
    let entries: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    assert!(!entries.is_empty());
    assert_eq!(changes.len(), entries.len());
    let kinds = ["added", "changed", "deprecated", "removed", "fixed", "security"];
    for (change, entry) in changes.iter().zip(entries) {
        assert!(kinds.contains(&change.kind.as_str()), "{}", change.kind);
        // Up to its first link, which is none there.
        let beginning = entry.split('[').next().unwrap();
        assert!(change.description.starts_with(beginning), "{} {beginning}", change.description);
    }
    let changelog = std::fs::read_to_string(project().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(section.trim_end()));
}

#[test]
fn its_definition_is_the_real_one_and_its_example_is_valid() {
    let definition = yaml("crds/grapeclusters.grenache.dev.yaml");
    let crds = annotation("crds");
    let crds = crds.as_sequence().unwrap();
    assert_eq!(crds.len(), 1);
    let version = &definition["spec"]["versions"][0];
    assert_eq!(crds[0]["kind"], definition["spec"]["names"]["kind"]);
    assert_eq!(crds[0]["name"], definition["metadata"]["name"]);
    assert_eq!(crds[0]["version"], version["name"]);

    let examples = annotation("crdsExamples");
    let examples = examples.as_sequence().unwrap();
    assert_eq!(examples.len(), 1);
    let example = &examples[0];
    let group = definition["spec"]["group"].as_str().unwrap();
    let name = version["name"].as_str().unwrap();
    assert_eq!(example["apiVersion"], format!("{group}/{name}"));
    assert_eq!(example["kind"], definition["spec"]["names"]["kind"]);
    let json = serde_json::to_value(example).unwrap();
    let schema = serde_json::to_value(&version["schema"]["openAPIV3Schema"]).unwrap();
    let errors: Vec<_> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&json)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    // Without a word that the type does not have.
    let typed: GrapeCluster = serde_json::from_value(json.clone()).unwrap();
    let again = serde_json::to_value(&typed).unwrap();
    let words = json["spec"].as_object().unwrap();
    assert!(words.iter().all(|(key, value)| again["spec"][key] == *value), "{again}");
}

#[test]
fn it_has_what_a_catalogue_shows() {
    let metadata = metadata();
    for key in ["home", "icon", "description"] {
        assert!(!metadata[key].as_str().unwrap_or_default().is_empty(), "{key}");
    }
    assert!(!metadata["sources"].as_sequence().unwrap().is_empty());
    assert!(metadata["keywords"].as_sequence().unwrap().len() > 2);
    assert_eq!(metadata["annotations"]["artifacthub.io/license"], env!("CARGO_PKG_LICENSE"));
    // The icon is whole, and a picture.
    let icon = metadata["icon"].as_str().unwrap();
    let data = icon.strip_prefix("data:image/svg+xml;base64,").unwrap();
    let decoded = said(Command::new("bash").args(["-c", "base64 --decode <<<\"$1\"", "-", data]));
    assert!(decoded.starts_with("<svg") && decoded.trim_end().ends_with("</svg>"), "{decoded}");
}
