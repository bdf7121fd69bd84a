//! A namespace of a test's own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{Api, PostParams};
use kube::ResourceExt;
use serde_json::json;

use super::{Cluster, script, tools};

/// A namespace that goes with the test, with all that is in it. Pods in it must keep the
/// `restricted` Pod Security Standard.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    kubeconfig: PathBuf,
}

impl Namespace {
    /// Makes one, whose name begins as given.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn make(cluster: &Cluster, prefix: &str) -> Result<Self> {
        let api: Api<Object> = Api::all(cluster.client());
        let object = serde_json::from_value(json!({
            "metadata": {
                "generateName": format!("{prefix}-"),
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }))?;
        let made = api.create(&PostParams::default(), &object).await?;
        let name = made.name_any();
        Ok(Self { name, kubeconfig: cluster.kubeconfig().to_owned() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn delete(&self) -> Result<()> {
        let mut kubectl = Command::new(tools::binary("kubectl")?);
        kubectl.env("KUBECONFIG", &self.kubeconfig);
        kubectl.args(["delete", "namespace", &self.name, "--wait=false"]);
        script::run(&mut kubectl).map(drop)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            eprintln!("the namespace {} is left over: {error:#}", self.name);
        }
    }
}
