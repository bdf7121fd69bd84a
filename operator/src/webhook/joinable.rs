//! A GrapeCluster as pods that join it need it: checked when it is read, and not for each pod.

use std::borrow::Cow;
use std::sync::Arc;

use grape_cluster::GrapeCluster;
use grape_cluster::validate::{ValidatedCluster, validate};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};

use crate::controller::stores::Stored;

/// A cluster without what no pod asks for.
#[derive(Debug, Clone)]
pub struct Joinable {
    /// What it is known by: names, uid and versions.
    metadata: ObjectMeta,
    /// What its Grapes are made from; none where it cannot run.
    pub cluster: Option<Arc<ValidatedCluster>>,
}

impl<'de> Deserialize<'de> for Joinable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut stored = Stored::deserialize(from)?;
        let valid = stored.0.as_ref().ok().and_then(|cluster| validate(cluster).ok());
        let ObjectMeta { name, namespace, uid, resource_version, .. } =
            std::mem::take(stored.meta_mut());
        let metadata = ObjectMeta { name, namespace, uid, resource_version, ..<_>::default() };
        Ok(Self { metadata, cluster: valid.map(Arc::new) })
    }
}

impl Resource for Joinable {
    type DynamicType = <GrapeCluster as Resource>::DynamicType;
    type Scope = <GrapeCluster as Resource>::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        GrapeCluster::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        GrapeCluster::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        GrapeCluster::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        GrapeCluster::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: Value) -> Joinable {
        let object = json!({
            "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
            "metadata": {
                "name": "market", "namespace": "shop", "uid": "1", "resourceVersion": "7",
                "annotations": {"long": "and not needed"},
            },
            "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_cluster_that_can_run_is_joined_and_others_are_known_by_name() {
        let market = read(json!({"dht": {"port": 4242}}));
        assert_eq!(market.cluster.unwrap().dht.port, 4242);
        assert_eq!(market.metadata.annotations, None);
        for unusable in [json!({"replicas": -1}), json!({"replicas": "three"})] {
            let market = read(unusable);
            assert!(market.cluster.is_none());
            let reference = market.object_ref(&());
            assert_eq!(reference.kind.as_deref(), Some("GrapeCluster"));
            assert_eq!(reference.api_version.as_deref(), Some("grenache.dev/v1alpha1"));
            let [name, namespace, uid] = [reference.name, reference.namespace, reference.uid];
            let known = [name, namespace, uid].map(Option::unwrap_or_default);
            assert_eq!(known, ["market", "shop", "1"]);
        }
    }
}
