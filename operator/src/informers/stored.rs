//! A GrapeCluster as it is stored: validated when it is read, and not for each pod or reconciliation.

use std::borrow::Cow;
use std::sync::Arc;

use grape_cluster::GrapeCluster;
use grape_cluster::validate::{Invalid, ValidatedCluster, validate};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DeserializeGuard;
use serde::{Deserialize, Deserializer};

/// A GrapeCluster that may be unreadable, because an older schema accepted it. Such a cluster must
/// not hide the others of a list.
#[derive(Debug, Clone)]
pub struct Stored {
    object: DeserializeGuard<GrapeCluster>,
    /// Empty problems for an unreadable cluster.
    validated: Result<Arc<ValidatedCluster>, Vec<Invalid>>,
}

impl Stored {
    /// The cluster.
    ///
    /// # Errors
    /// Why the object cannot be read as a GrapeCluster.
    pub fn cluster(&self) -> Result<&GrapeCluster, &str> {
        self.object.0.as_ref().map_err(|unreadable| &*unreadable.error)
    }

    /// The validated spec.
    ///
    /// # Errors
    /// The fields whose values cannot be used; none for an unreadable cluster.
    pub fn validated(&self) -> Result<&Arc<ValidatedCluster>, &[Invalid]> {
        self.validated.as_ref().map_err(|problems| &**problems)
    }
}

impl From<DeserializeGuard<GrapeCluster>> for Stored {
    fn from(mut object: DeserializeGuard<GrapeCluster>) -> Self {
        // The largest part of the metadata, which nothing reads.
        object.meta_mut().managed_fields = None;
        let validated = match &object.0 {
            Ok(cluster) => validate(cluster).map(Arc::new),
            Err(_) => Err(Vec::new()),
        };
        Self { object, validated }
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        DeserializeGuard::deserialize(from).map(Self::from)
    }
}

impl Resource for Stored {
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
        self.object.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.object.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: Value) -> Stored {
        let object = json!({
            "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
            "metadata": {
                "name": "market", "namespace": "shop", "uid": "1",
                "managedFields": [{"manager": "kubectl", "operation": "Apply"}],
            },
            "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_cluster_is_validated_when_it_is_read() {
        let market = read(json!({"dht": {"port": 4242}}));
        assert_eq!(market.validated().unwrap().dht.port, 4242);
        assert_eq!(market.cluster().unwrap().metadata.name.as_deref(), Some("market"));
        assert_eq!(market.meta().managed_fields, None);
    }

    #[test]
    fn an_invalid_cluster_names_its_fields() {
        let market = read(json!({"replicas": -1}));
        assert!(market.cluster().is_ok());
        assert_eq!(market.validated().unwrap_err()[0].field, "spec.replicas");
    }

    #[test]
    fn an_unreadable_cluster_has_its_names_and_a_reason() {
        let market = read(json!({"replicas": "three"}));
        assert!(market.cluster().unwrap_err().contains("three"));
        assert!(market.validated().is_err_and(<[_]>::is_empty));
        let reference = market.object_ref(&());
        assert_eq!(reference.kind.as_deref(), Some("GrapeCluster"));
        assert_eq!(reference.api_version.as_deref(), Some("grenache.dev/v1alpha1"));
        let [name, namespace, uid] = [reference.name, reference.namespace, reference.uid];
        assert_eq!([name, namespace, uid].map(Option::unwrap_or_default), ["market", "shop", "1"]);
    }
}
