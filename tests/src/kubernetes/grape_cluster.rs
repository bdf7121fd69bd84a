//! A GrapeCluster in a namespace of its own, and what becomes of it.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, WatchEvent,
    WatchParams,
};
use serde_json::{Value, json};

use super::{Namespace, Operator};
use crate::wait;

/// Its name.
pub const NAME: &str = "market";
/// The label of its Grapes.
pub const GRAPES: &str = "app.kubernetes.io/name=grape";

/// How long a change may take before a test gives up.
const DEADLINE: Duration = Duration::from_secs(180);

/// A GrapeCluster, which goes with its namespace when it is dropped.
pub struct GrapeCluster<'a> {
    operator: &'a Operator,
    namespace: Namespace,
    clusters: Api<DynamicObject>,
    pods: Api<Pod>,
}

impl<'a> GrapeCluster<'a> {
    /// Makes one with a spec, in a namespace whose name begins as given.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn make(operator: &'a Operator, prefix: &str, spec: Value) -> Result<Self> {
        let cluster = operator.cluster();
        let namespace = Namespace::make(cluster, prefix).await?;
        let kind = GroupVersionKind::gvk("grenache.dev", "v1alpha1", "GrapeCluster");
        let kind = ApiResource::from_gvk_with_plural(&kind, "grapeclusters");
        let clusters = Api::namespaced_with(cluster.client(), namespace.name(), &kind);
        let pods = Api::namespaced(cluster.client(), namespace.name());
        let made = Self { operator, namespace, clusters, pods };
        let manifest = json!({
            "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
            "metadata": {"name": NAME}, "spec": spec,
        });
        let apply = PatchParams::apply("grape-tests");
        made.clusters.patch(NAME, &apply, &Patch::Apply(manifest)).await?;
        Ok(made)
    }

    /// The operator that runs it.
    pub fn operator(&self) -> &Operator {
        self.operator
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// Where other Grapes join it.
    pub fn endpoint(&self) -> String {
        format!("{NAME}.{}.svc:20001", self.namespace())
    }

    /// All pods of the namespace.
    pub fn pods(&self) -> &Api<Pod> {
        &self.pods
    }

    /// All GrapeClusters of the namespace: it alone.
    pub fn clusters(&self) -> &Api<DynamicObject> {
        &self.clusters
    }

    /// Its Grapes' pods, by name.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn grapes(&self) -> Result<Vec<Pod>> {
        let mut pods = self.pods.list(&ListParams::default().labels(GRAPES)).await?.items;
        pods.sort_by_key(ResourceExt::name_any);
        Ok(pods)
    }

    /// It, as it is stored.
    ///
    /// # Errors
    /// When the API server does not have it.
    pub async fn object(&self) -> Result<DynamicObject> {
        Ok(self.clusters.get(NAME).await?)
    }

    /// It, as it was after each write since then.
    ///
    /// # Errors
    /// When the API server does not know any more what came after `before`.
    pub async fn written_since(&self, before: &DynamicObject) -> Result<Vec<DynamicObject>> {
        let only = WatchParams::default().fields(&format!("metadata.name={NAME}")).timeout(1);
        let version = before.metadata.resource_version.as_deref().context("it was not stored")?;
        let mut events = pin!(self.clusters.watch(&only, version).await?);
        let mut written = Vec::new();
        while let Some(event) = events.try_next().await? {
            match event {
                WatchEvent::Modified(object) => written.push(object),
                WatchEvent::Bookmark(_) => {}
                other => bail!("{other:?}"),
            }
        }
        Ok(written)
    }

    /// Changes fields of its spec (a JSON merge patch).
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn change(&self, spec: Value) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.clusters.patch(NAME, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// What a Grape answers to a verb of its API, by way of the API server.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn ask(&self, grape: &str, verb: &str, data: Value) -> Result<Value> {
        let pods = format!("/api/v1/namespaces/{}/pods", self.namespace());
        let request = http::Request::post(format!("{pods}/{grape}:30001/proxy/{verb}"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(&json!({"rid": 1, "data": data}))?)?;
        let client = self.operator.cluster().client();
        Ok(serde_json::from_str(&client.request_text(request).await?)?)
    }

    /// What kubectl prints, in its namespace.
    ///
    /// # Errors
    /// When it fails; why has been shown.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        // First: what follows `--` is for a pod.
        self.operator.kubectl(["--namespace", self.namespace()].iter().chain(arguments))
    }

    /// Waits until its status, of the spec as it is now, satisfies `ask`.
    ///
    /// # Errors
    /// When three minutes pass before, with everything that may show why.
    pub async fn until(&self, what: &str, ask: impl Fn(&Value) -> bool) -> Result<Value> {
        let reached = wait::until_within(DEADLINE, what, async || {
            let object = self.object().await.map_err(|error| anyhow!("{error:#}"))?;
            let status = &object.data["status"];
            let seen = status["observedGeneration"].as_i64();
            ensure!(seen == object.metadata.generation, "the spec is newer than {status}");
            ensure!(ask(status), "{status}");
            Ok(status.clone())
        });
        reached.await.with_context(|| self.shown())
    }

    /// Waits until it is well and nothing is to change.
    ///
    /// # Errors
    /// As [`GrapeCluster::until`].
    pub async fn until_ready(&self) -> Result<Value> {
        self.until("it is Ready and Settled", |status| {
            condition(status, "Ready")["status"] == "True"
                && condition(status, "Progressing")["reason"] == "Settled"
        })
        .await
    }

    /// Waits until it is not ready for one of these reasons, and gives what it says of it.
    ///
    /// # Errors
    /// As [`GrapeCluster::until`].
    pub async fn until_unready(&self, reasons: &[&str]) -> Result<String> {
        let is = |status: &Value| {
            let ready = condition(status, "Ready");
            ready["status"] == "False" && reasons.iter().any(|each| ready["reason"] == **each)
        };
        let status = self.until(&format!("it is not Ready: {reasons:?}"), is).await?;
        let message = condition(&status, "Ready")["message"].as_str().map(str::to_owned);
        message.context("it has no message")
    }

    /// Everything about the cluster, for the message of a failure.
    pub fn shown(&self) -> String {
        let asked: [&[&str]; 3] = [
            &["describe", "grapecluster", NAME],
            &["get", "pods,statefulsets", "--output=wide"],
            &["get", "events", "--sort-by=.lastTimestamp"],
        ];
        let said = |what: Result<String>| what.unwrap_or_else(|error| format!("{error:#}"));
        let parts = asked.iter().map(|arguments| said(self.kubectl(arguments)));
        parts.chain([self.operator.shown()]).collect::<Vec<_>>().join("\n---\n")
    }
}

/// A status without what its lookups met: how many found their peer, and how fast. On a machine that
/// is busy that changes, and some take longer than the operator waits.
#[must_use]
pub fn without_lookups(status: &Value) -> Value {
    let mut status = status.clone();
    status["summary"]["lookups"].take();
    status["lookupLatencyLimit"].take();
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == "LookupHealthy" {
            condition["message"].take();
        }
    }
    status
}

/// A condition of a status; null where it has none of that type.
pub fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|it| it["type"] == kind).unwrap_or(&Value::Null)
}
