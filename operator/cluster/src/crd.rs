//! The CustomResourceDefinition, as it is installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube_core::CustomResourceExt;

use crate::{GrapeCluster, manifest};

/// The CustomResourceDefinition as YAML, as it is kept in `crds/`.
///
/// # Errors
///
/// The definition cannot be written as YAML.
pub fn to_yaml() -> Result<String, serde_yaml::Error> {
    let yaml = manifest::write(&crd())?;
    Ok(format!("# Generated from the types by `grape-operator crd`: change those instead.\n{yaml}"))
}

/// The CustomResourceDefinition of [`GrapeCluster`].
pub fn crd() -> CustomResourceDefinition {
    let mut crd = GrapeCluster::crd();
    let versions = crd.spec.versions.iter_mut();
    let schemas =
        versions.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    for schema in schemas {
        name_the_name(schema);
        mark_new(schema);
        each(schema, &join_lines);
        each(schema, &bound);
    }
    crd
}

/// The field that rules about the name point at. Of `metadata` Kubernetes knows the schema, but not
/// for them.
fn name_the_name(root: &mut JSONSchemaProps) {
    let typed = |name: &str| JSONSchemaProps { type_: Some(name.to_owned()), ..Default::default() };
    let fields = root.properties.get_or_insert_default();
    let metadata = fields.entry("metadata".to_owned()).or_insert_with(|| typed("object"));
    metadata.properties.get_or_insert_default().insert("name".to_owned(), typed("string"));
}

/// A new GrapeCluster has not been seen by the operator. Without a status, Flux and `helm --wait` would
/// take it for ready.
fn mark_new(root: &mut JSONSchemaProps) {
    let status = root.properties.as_mut().and_then(|fields| fields.get_mut("status"));
    if let Some(status) = status {
        status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
    }
}

/// Descriptions are wrapped as source code is, and `kubectl explain` wraps them to its own width:
/// both would leave every second line short.
fn join_lines(schema: &mut JSONSchemaProps) {
    if let Some(description) = &mut schema.description {
        let paragraphs = description.split("\n\n").map(|text| text.replace('\n', " "));
        *description = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
}

/// Times that can be read. The API server takes others too, such as one of the year 9999 in a zone
/// where it is the year 10000 here.
const TIME_PATTERN: &str = r"^2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$";

/// In fields of Kubernetes' own types the API server stores more than their types hold, such as a
/// maxSkew of 3000000000: with one such object, no client could read the list of all.
fn bound(schema: &mut JSONSchemaProps) {
    match schema.format.as_deref() {
        Some("int32") => {
            schema.minimum.get_or_insert(i32::MIN.into());
            schema.maximum.get_or_insert(i32::MAX.into());
        }
        Some("date-time") => schema.pattern = Some(TIME_PATTERN.to_owned()),
        _ => {}
    }
}

/// Changes a schema and all those in it.
fn each(schema: &mut JSONSchemaProps, change: &impl Fn(&mut JSONSchemaProps)) {
    change(schema);
    let fields = schema.properties.iter_mut().flat_map(|fields| fields.values_mut());
    fields.for_each(|field| each(field, change));
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => each(items, change),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => {
            items.iter_mut().for_each(|items| each(items, change));
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_crd_in_the_repository_is_the_one_of_the_types() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../crds/grapeclusters.grenache.dev.yaml");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == to_yaml().unwrap(),
            "crds/ is stale; run: cargo run -- crd > crds/grapeclusters.grenache.dev.yaml"
        );
    }
}
