//! Hundreds of GrapeClusters: what an operator that has nothing to do writes and takes, and how long
//! it is until all of them are as they should be when all change at once.
//!
//! No controller makes pods of the StatefulSets: a cluster is settled when its objects are as its
//! spec wants them, and its status is of that spec.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use grape_operator::desired::labels;
use grape_tests::histogram::Histogram;
use grape_tests::kubernetes::ApiServer;
use grape_tests::our_operator::Operator;
use grape_tests::ports::Port;
use grape_tests::results::{Goal, Row};
use grape_tests::{figure, wait};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::requests::Requests;
use super::{Size, cpu};

/// Clusters of one namespace.
const IN_A_NAMESPACE: usize = 10;
/// Requests of ours at once.
const AT_ONCE: usize = 32;
/// How long nothing is written when the operator has come to rest.
const QUIET: Duration = Duration::from_secs(5);
/// How long all clusters may take to settle before this gives up.
const DEADLINE: Duration = Duration::from_secs(300);

/// The annotation by which the clusters are changed.
const CHANGE: &str = "example.org/change";

/// The histogram of the operator's reconciliations.
const DURATIONS: &str = "grape_operator_reconcile_duration_seconds";

/// Measures the operator `binary`.
///
/// # Errors
/// When anything is not as it should be.
pub async fn measure(binary: &Path, size: &Size) -> Result<Vec<Row>> {
    let server = ApiServer::start_with_definition().await?;
    let fleet = Fleet { client: server.client(), count: size.clusters };
    fleet.make().await?;

    let begun = Instant::now();
    let webhook = Port::take()?;
    let bind = format!("--webhook-bind=127.0.0.1:{}", webhook.number());
    let flags = ["--namespace=default", "--grape-image=grape:1", &bind];
    let operator = Operator::start_as(binary, server.kubeconfig(), "scale", &flags).await?;
    fleet.until_settled(1).await?;
    figure::took(&format!("{} clusters are made", size.clusters), begun.elapsed());
    fleet.check("3", None).await?;
    let before = fleet.until_quiet().await?;

    sleep(size.rest).await;
    let at_rest = Requests::until_now(&fleet.client).await?.since(&before);
    let written = at_rest.writes();
    figure::tell(&format!("at rest for {:?}: {at_rest}", size.rest));
    let memory = megabytes(&operator).await?;

    let durations = durations(&operator).await?;
    let idle = cpu(&operator).await?;
    let before = Requests::until_now(&fleet.client).await?;
    let begun = Instant::now();
    fleet.change().await?;
    let patched = begun.elapsed();
    fleet.until_settled(2).await?;
    let settled = begun.elapsed();
    figure::took("all changed by us", patched);
    fleet.check("4", Some("2")).await?;
    let quiet = fleet.until_quiet().await?;
    figure::tell(&format!("to change all: {}", quiet.since(&before)));
    figure::tell(&format!("CPU of it: {:.2} s", cpu(&operator).await? - idle));
    let reconciled = self::durations(&operator).await?.since(&durations);
    let slowest = reconciled.quantile(0.99).context("something was reconciled")?;
    for quantile in [0.5, 0.9, 0.99] {
        let seconds = reconciled.quantile(quantile).unwrap_or_default();
        figure::tell(&format!("a reconcile: p{:.0} {:.1} ms", quantile * 100.0, seconds * 1e3));
    }
    figure::tell(&format!("reconciles: {}", reconciled.count()));
    figure::tell(&format!("memory after the change: {:.1} MB", megabytes(&operator).await?));

    let count = size.clusters;
    let minutes = size.rest.as_secs_f64() / 60.0;
    let row = |case: String, ours, unit: &str, most| Row {
        case,
        npm: None,
        ours,
        unit: unit.to_owned(),
        goal: Goal::AtMost(most),
    };
    Ok(vec![
        row(format!("operator, {count} clusters at rest: writes"), written / minutes, "/min", 0.0),
        row(format!("operator, {count} clusters at rest: memory"), memory, "MB", 60.0),
        row(
            format!("operator, {count} clusters changed at once: settled"),
            settled.as_secs_f64(),
            "s",
            60.0,
        ),
        row(
            format!("operator, {count} clusters changed at once: reconcile, p99"),
            slowest * 1e3,
            "ms",
            250.0,
        ),
    ])
}

/// The clusters.
struct Fleet {
    client: Client,
    count: usize,
}

impl Fleet {
    fn names(&self) -> impl Iterator<Item = (String, String)> + use<> {
        (0..self.count)
            .map(|number| (format!("team-{}", number / IN_A_NAMESPACE), format!("market-{number}")))
    }

    async fn make(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for number in 0..self.count.div_ceil(IN_A_NAMESPACE) {
            let object = json!({"metadata": {"name": format!("team-{number}")}});
            namespaces.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        }
        let made = stream::iter(self.names()).map(|(namespace, name)| async move {
            let object = json!({
                "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
                "metadata": {"name": name}, "spec": {"replicas": 3},
            });
            let object = serde_json::from_value(object)?;
            self.clusters(&namespace).create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        });
        made.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Another Grape, and another template.
    async fn change(&self) -> Result<()> {
        let patch = json!({"spec": {
            "replicas": 4, "template": {"annotations": {CHANGE: "2"}},
        }});
        let patch = &Patch::Merge(patch);
        let changed = stream::iter(self.names()).map(|(namespace, name)| async move {
            self.clusters(&namespace).patch(&name, &PatchParams::default(), patch).await?;
            anyhow::Ok(())
        });
        changed.buffer_unordered(AT_ONCE).try_collect().await
    }

    fn clusters(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &grape_cluster())
    }

    /// Waits until the status of each is of its spec, which is the one of this generation.
    async fn until_settled(&self, generation: i64) -> Result<()> {
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &grape_cluster());
        // To list them all again and again would cost the API server a good part of its time.
        let changes = watcher(all, watcher::Config::default()).default_backoff();
        let mut changes = pin!(changes.applied_objects());
        let mut settled = BTreeSet::new();
        let all_settled = async {
            while settled.len() < self.count {
                // A watch that fails starts over.
                let Some(Ok(cluster)) = changes.next().await else { continue };
                if cluster.metadata.generation == Some(generation)
                    && cluster.data["status"]["observedGeneration"] == generation
                {
                    settled.insert((cluster.namespace(), cluster.name_any()));
                }
            }
        };
        let in_time = timeout(DEADLINE, all_settled).await;
        ensure!(in_time.is_ok(), "{} of {} settled in {DEADLINE:?}", settled.len(), self.count);
        Ok(())
    }

    /// Checks that each cluster has one object of each kind, and its Grapes as they should be.
    async fn check(&self, replicas: &str, change: Option<&str>) -> Result<()> {
        let sets = kind("apps", "StatefulSet");
        let policies = GroupVersionKind::gvk("networking.k8s.io", "v1", "NetworkPolicy");
        for resource in [
            kind("", "Service"),
            kind("", "ServiceAccount"),
            kind("policy", "PodDisruptionBudget"),
            ApiResource::from_gvk_with_plural(&policies, "networkpolicies"),
            sets.clone(),
        ] {
            self.check_kind(&resource.kind, &self.children(&resource).await?)?;
        }
        for (name, set) in self.children(&sets).await? {
            let spec = &set.data["spec"];
            let annotation = &spec["template"]["metadata"]["annotations"][CHANGE];
            let is = (spec["replicas"].to_string(), annotation.as_str());
            ensure!(is == (replicas.to_owned(), change), "the set of {name:?} has {is:?}");
        }
        Ok(())
    }

    fn check_kind(&self, kind: &str, objects: &[(Name, DynamicObject)]) -> Result<()> {
        let mut counts: BTreeMap<&Name, usize> = BTreeMap::new();
        for (name, _) in objects {
            *counts.entry(name).or_default() += 1;
        }
        for name in self.names() {
            let count = counts.remove(&name);
            ensure!(count == Some(1), "{count:?} objects of {kind} of {name:?}, not one");
        }
        ensure!(counts.is_empty(), "{kind} of others: {counts:?}");
        Ok(())
    }

    /// What the operator made of a kind, by the cluster that it is of.
    async fn children(&self, kind: &ApiResource) -> Result<Vec<(Name, DynamicObject)>> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
        let ours = format!("{}={}", labels::MANAGED_BY, labels::OPERATOR);
        let list = api.list(&ListParams::default().labels(&ours)).await?;
        let named = |object: DynamicObject| {
            let name = object.labels().get(labels::INSTANCE).cloned().unwrap_or_default();
            ((object.namespace().unwrap_or_default(), name), object)
        };
        Ok(list.items.into_iter().map(named).collect())
    }

    /// Waits until the operator writes nothing any more; what the API server was asked by then.
    async fn until_quiet(&self) -> Result<Requests> {
        let mut before = Requests::until_now(&self.client).await?;
        wait::until_within(DEADLINE, "nothing is written", async || {
            sleep(QUIET).await;
            let now = Requests::until_now(&self.client).await?;
            let since = now.since(&before);
            before = now.clone();
            ensure!(since.writes() == 0.0, "{since}");
            Ok(now)
        })
        .await
    }
}

/// A cluster's namespace and name.
type Name = (String, String);

fn kind(group: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind))
}

fn grape_cluster() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("grenache.dev", "v1alpha1", "GrapeCluster"))
}

async fn durations(operator: &Operator) -> Result<Histogram> {
    Histogram::read(&operator.page("/metrics").await?.body, DURATIONS)
}

/// Resident memory, as the kernel counts it.
async fn megabytes(operator: &Operator) -> Result<f64> {
    let bytes = operator.metric("process_resident_memory_bytes").await?;
    Ok(bytes.context("it tells its memory")? / f64::from(1 << 20))
}
