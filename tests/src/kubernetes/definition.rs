//! The definition of GrapeClusters on an API server.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};

use crate::wait;

/// Applies what lies in `crds/`, and waits until objects of it can be made. Without effect where it
/// is installed already.
///
/// # Errors
/// When the API server refuses it, or does not serve it in time.
pub async fn install(client: &Client) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let definition: CustomResourceDefinition =
            serde_yaml::from_str(&fs::read_to_string(&path)?)
                .with_context(|| format!("{} is no definition", path.display()))?;
        let name = definition.metadata.name.as_deref().context("it has no name")?;
        let force = PatchParams::apply("grape-tests").force();
        api.patch(name, &force, &Patch::Apply(&definition)).await?;
        for version in &definition.spec.versions {
            let served = resource(&definition, &version.name);
            let objects: Api<DynamicObject> = Api::all_with(client.clone(), &served);
            wait::until(&format!("{name} is served"), async || {
                objects.list(&ListParams::default()).await
            })
            .await?;
            // Later than they are served; `kubectl explain` knows them by this.
            let path = format!("/openapi/v3/apis/{}", served.api_version);
            wait::until(&format!("{name} is described"), async || {
                let request = http::Request::get(&path).body(Vec::new())?;
                let described = client.request_text(request).await?;
                ensure!(described.contains(&served.kind), "{described}");
                anyhow::Ok(())
            })
            .await?;
        }
    }
    Ok(())
}

fn resource(definition: &CustomResourceDefinition, version: &str) -> ApiResource {
    let spec = &definition.spec;
    ApiResource {
        group: spec.group.clone(),
        version: version.to_owned(),
        api_version: format!("{}/{version}", spec.group),
        kind: spec.names.kind.clone(),
        plural: spec.names.plural.clone(),
    }
}
