//! `docs/grapecluster.md`: the fields of a GrapeCluster, from its CustomResourceDefinition, which
//! another test compares with the types.

use serde_yaml::Value;

use super::compare;

const HEAD: &str = "\
# Fields of a GrapeCluster

`kubectl explain grapecluster.spec` says the same. A test writes this page from the CustomResourceDefinition, and
fails when it is stale. Every field of `spec` may be left out.
";

/// Types of Kubernetes, which its own reference describes.
const KUBERNETES: [&str; 7] = [
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "selector",
    "conditions",
    "valueFrom",
    "securityContext",
];

/// Adds a row for each field under `schema`, in the order of the definition.
fn rows(path: &str, schema: &Value, page: &mut String) {
    let Some(fields) = schema["properties"].as_mapping() else { return };
    for (name, field) in fields {
        let name = name.as_str().unwrap();
        let path = format!("{path}.{name}");
        let kind = field["type"].as_str().unwrap_or("integer or string");
        let default = match &field["default"] {
            Value::Null | Value::Mapping(_) => String::new(),
            default => format!("`{}`", serde_json::to_string(default).unwrap()),
        };
        let text = field["description"].as_str().unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        *page += &format!("| `{path}` | {kind} | {default} | {text} |\n");
        if !KUBERNETES.contains(&name) && name != "pullSecrets" {
            rows(&path, field, page);
            rows(&format!("{path}[]"), &field["items"], page);
        }
    }
}

#[test]
fn the_page_has_every_field_of_a_grapecluster() {
    let definition = include_str!("../../../crds/grapeclusters.grenache.dev.yaml");
    let definition: Value = serde_yaml::from_str(definition).unwrap();
    let version = &definition["spec"]["versions"][0];
    let fields = &version["schema"]["openAPIV3Schema"]["properties"];
    let mut page = HEAD.to_owned();
    for part in ["spec", "status"] {
        page += &format!("\n## {part}\n\n| field | type | default | |\n|---|---|---|---|\n");
        rows(part, &fields[part], &mut page);
    }
    assert!(page.lines().count() > 80, "{page}");
    compare("grapecluster.md", &page);
}
