//! The CustomResourceDefinition, as it is installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use super::GrapeCluster;

/// The CustomResourceDefinition of [`GrapeCluster`].
pub fn crd() -> CustomResourceDefinition {
    let mut crd = GrapeCluster::crd();
    let versions = crd.spec.versions.iter_mut();
    let schemas =
        versions.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    schemas.for_each(join_lines);
    crd
}

/// Descriptions are wrapped as source code is, and `kubectl explain` wraps them to its own width:
/// both would leave every second line short.
fn join_lines(schema: &mut JSONSchemaProps) {
    if let Some(description) = &mut schema.description {
        let paragraphs = description.split("\n\n").map(|text| text.replace('\n', " "));
        *description = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    schema.properties.iter_mut().flat_map(|fields| fields.values_mut()).for_each(join_lines);
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => join_lines(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(join_lines),
        None => {}
    }
}
