//! The part of the MutatingWebhookConfiguration that the operator keeps, beside the certificate:
//! its owner, and whether API servers call it at all.
//!
//! - Its owner is the operator's namespace, so that Kubernetes deletes it with the namespace. A
//!   configuration that stays behind would make API servers refuse pods.
//! - While another operator works in the same namespaces, a condition that never holds keeps API
//!   servers from calling this webhook: exactly one webhook changes a pod.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::api_client::MANAGER;
use crate::turn::Standing;

/// How long the API server may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after a write that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The name of the condition that never holds.
const CONDITION: &str = "another-operator-works.inject.grenache.dev";

/// Keeps the owner and the condition of a MutatingWebhookConfiguration.
pub struct ConfigurationController {
    /// The way to the API server.
    pub client: Client,
    /// The configuration's name.
    pub name: String,
    /// The operator's namespace.
    pub namespace: String,
    /// Whether another operator works in the same namespaces.
    pub standing: watch::Receiver<Standing>,
}

impl ConfigurationController {
    /// Keeps them for as long as the process runs. Without a configuration there is nothing to do.
    pub async fn run(mut self) {
        let configurations: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let mut changes =
            watch_object(configurations.clone(), &self.name).default_backoff().boxed();
        let (mut owner, mut configuration, mut again) = (None, None, false);
        loop {
            tokio::select! {
                Some(change) = changes.next() => match change {
                    Ok(found) => configuration = found,
                    Err(error) => {
                        warn!(configuration = self.name, %error, "cannot watch; trying again");
                        continue;
                    }
                },
                Ok(()) = self.standing.changed() => {}
                () = sleep(RETRY_PAUSE), if again => {}
            }
            let Some(configuration) = &configuration else { continue };
            let kept =
                timeout(WRITE_TIMEOUT, self.reconcile(&configurations, configuration, &mut owner));
            let kept = kept.await.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer")));
            if let Err(error) = &kept {
                let error = format!("{error:#}");
                warn!(configuration = self.name, error, "cannot be kept; trying again");
            }
            again = kept.is_err();
        }
    }

    async fn reconcile(
        &self,
        configurations: &Api<MutatingWebhookConfiguration>,
        configuration: &MutatingWebhookConfiguration,
        owner: &mut Option<OwnerReference>,
    ) -> anyhow::Result<()> {
        if owner.is_none() {
            let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
            let found = namespaces.get_metadata(&self.namespace).await;
            let found = found.with_context(|| format!("cannot read {}", self.namespace))?;
            *owner = Some(reference(&self.namespace, found.uid().context("it has no uid")?));
        }
        let asked = match &*self.standing.borrow() {
            Standing::Unknown => None,
            Standing::First => Some(true),
            Standing::After(_) => Some(false),
        };
        let Some(patch) = owner.as_ref().and_then(|it| changed(configuration, it, asked)) else {
            return Ok(());
        };
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..<_>::default() };
        match configurations.patch(&self.name, &params, &Patch::Strategic(&patch)).await {
            Ok(_) => {
                info!(
                    configuration = self.name,
                    asked, "keeping whose it is, and whether it is asked"
                );
                Ok(())
            }
            // Another writer changed the object meanwhile, or it was deleted: the watch reports it.
            Err(kube::Error::Api(refusal)) if matches!(refusal.code, 404 | 409) => Ok(()),
            Err(error) => Err(error).context("cannot write it"),
        }
    }
}

fn reference(namespace: &str, uid: String) -> OwnerReference {
    OwnerReference {
        api_version: Namespace::api_version(&()).into_owned(),
        kind: Namespace::kind(&()).into_owned(),
        name: namespace.to_owned(),
        uid,
        // The owner holds up no deletion.
        block_owner_deletion: None,
        controller: None,
    }
}

/// The strategic merge patch that makes a configuration as it should be; `None` if it is so
/// already. `asked`: whether API servers are to call the webhook; `None` leaves that unchanged.
fn changed(
    configuration: &MutatingWebhookConfiguration,
    owner: &OwnerReference,
    asked: Option<bool>,
) -> Option<Value> {
    let owners = configuration.owner_references();
    // The owner is an earlier namespace of this name: Kubernetes would delete the configuration.
    let stale = owners.iter().filter(|it| it.kind == owner.kind && it.uid != owner.uid);
    let mut references: Vec<_> =
        stale.map(|it| json!({"$patch": "delete", "uid": it.uid})).collect();
    if !owners.contains(owner) {
        references.push(json!(owner));
    }

    let mut webhooks = Vec::new();
    for webhook in configuration.webhooks.iter().flatten() {
        let conditions = webhook.match_conditions.iter().flatten();
        let is_asked = conditions.filter(|it| it.name == CONDITION).count() == 0;
        let condition = match asked {
            Some(true) if !is_asked => json!({"$patch": "delete", "name": CONDITION}),
            Some(false) if is_asked => json!({"name": CONDITION, "expression": "false"}),
            _ => continue,
        };
        webhooks.push(json!({"name": webhook.name, "matchConditions": [condition]}));
    }

    if references.is_empty() && webhooks.is_empty() {
        return None;
    }
    let mut patch = json!({"metadata": {"resourceVersion": configuration.resource_version()}});
    if !references.is_empty() {
        patch["metadata"]["ownerReferences"] = json!(references);
    }
    if !webhooks.is_empty() {
        patch["webhooks"] = json!(webhooks);
    }
    Some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(owners: &Value, conditions: &Value) -> MutatingWebhookConfiguration {
        let webhook = |name: &str| {
            json!({
                "name": name, "clientConfig": {}, "sideEffects": "None",
                "admissionReviewVersions": ["v1"], "matchConditions": conditions,
            })
        };
        let json = json!({
            "metadata": {"name": "it", "resourceVersion": "7", "ownerReferences": owners},
            "webhooks": [webhook("pods"), webhook("namespaces")],
        });
        serde_json::from_value(json).unwrap()
    }

    fn owner() -> OwnerReference {
        reference("ops", "1".to_owned())
    }

    #[test]
    fn one_that_is_as_it_is_to_be_is_left() {
        let ours = json!([{"name": CONDITION, "expression": "false"}]);
        let theirs = json!([{"name": "theirs", "expression": "true"}]);
        let owners = json!([owner()]);
        assert_eq!(changed(&configuration(&owners, &theirs), &owner(), Some(true)), None);
        assert_eq!(changed(&configuration(&owners, &ours), &owner(), Some(false)), None);
        assert_eq!(changed(&configuration(&owners, &ours), &owner(), None), None);
    }

    #[test]
    fn the_namespace_of_now_is_its_owner() {
        let earlier = json!(reference("ops", "0".to_owned()));
        let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "2"});
        let patch = changed(&configuration(&json!([earlier, other]), &json!([])), &owner(), None);
        let owned = json!({"apiVersion": "v1", "kind": "Namespace", "name": "ops", "uid": "1"});
        assert_eq!(
            patch.unwrap(),
            json!({"metadata": {
                "resourceVersion": "7",
                "ownerReferences": [{"$patch": "delete", "uid": "0"}, owned],
            }})
        );
    }

    #[test]
    fn it_is_asked_where_no_other_operator_works() {
        let owners = json!([owner()]);
        let webhooks = |conditions: Value, asked| {
            let patch = changed(&configuration(&owners, &conditions), &owner(), Some(asked));
            patch.unwrap()["webhooks"].clone()
        };
        let never = json!({"name": CONDITION, "expression": "false"});
        let each = |condition: Value| {
            json!(
                ["pods", "namespaces"]
                    .map(|it| json!({"name": it, "matchConditions": [condition]}))
            )
        };
        assert_eq!(webhooks(json!([]), false), each(never.clone()));
        assert_eq!(
            webhooks(json!([never]), true),
            each(json!({"$patch": "delete", "name": CONDITION}))
        );
    }
}
