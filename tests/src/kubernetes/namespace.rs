//! A namespace of a test's own.

use std::path::{Path, PathBuf};

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

use super::{Cluster, access};

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
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (name, kubeconfig) = (self.name.clone(), self.kubeconfig.clone());
        // The test's runtime may be at its end, and cannot be waited on from within.
        let deleted = std::thread::spawn(move || delete(&name, &kubeconfig)).join();
        match deleted {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the namespace {} is left over: {error:#}", self.name),
            Err(_) => eprintln!("the namespace {} is left over", self.name),
        }
    }
}

fn delete(name: &str, kubeconfig: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let api: Api<Object> = Api::all(access::client(kubeconfig).await?);
        api.delete(name, &DeleteParams::background()).await?;
        Ok(())
    })
}
