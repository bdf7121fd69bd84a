//! A namespace with clusters in it, and operators that run them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use grape_tests::kubernetes::proxy::Call;
use grape_tests::kubernetes::{ApiServer, Proxy};
use grape_tests::our_operator::Operator;
use grape_tests::wait;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

/// The kinds that the operator makes.
pub const CHILDREN: [&str; 5] =
    ["Service", "ServiceAccount", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy"];

/// How a kind is called in the API.
pub fn resource(kind: &str) -> ApiResource {
    let (group, version) = match kind {
        "GrapeCluster" => ("grenache.dev", "v1alpha1"),
        "StatefulSet" => ("apps", "v1"),
        "PodDisruptionBudget" => ("policy", "v1"),
        "ReplicaSet" => ("apps", "v1"),
        "NetworkPolicy" => return plural("networking.k8s.io", kind, "networkpolicies"),
        "ServiceMonitor" => ("monitoring.coreos.com", "v1"),
        "Event" => ("events.k8s.io", "v1"),
        "EndpointSlice" => ("discovery.k8s.io", "v1"),
        _ => ("", "v1"),
    };
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn plural(group: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural)
}

/// A namespace of a test's own.
pub struct Scene {
    client: Client,
    kubeconfig: PathBuf,
    space: String,
}

impl Scene {
    /// Makes a namespace whose name begins so.
    pub async fn new(server: &ApiServer, prefix: &str) -> Self {
        let namespaces: Api<Namespace> = Api::all(server.client());
        let object = json!({"metadata": {"generateName": format!("{prefix}-")}});
        let object = serde_json::from_value(object).unwrap();
        let made = namespaces.create(&PostParams::default(), &object).await.unwrap();
        let kubeconfig = server.kubeconfig().to_owned();
        Self { client: server.client(), kubeconfig, space: made.name_any() }
    }

    /// Its name.
    pub fn space(&self) -> &str {
        &self.space
    }

    /// An operator of this namespace, which asks the API server itself. Each `identity` has a Lease
    /// of its own, so that no operator waits for one that was killed.
    pub async fn operator(&self, identity: &str) -> Operator {
        self.operator_at(&self.kubeconfig, identity).await
    }

    /// The same, for another way to the API server.
    pub async fn operator_at(&self, kubeconfig: &Path, identity: &str) -> Operator {
        let watch = format!("--watch-namespaces={}", self.space);
        self.start(kubeconfig, identity, &[&watch, &format!("--lease-name={identity}")]).await
    }

    /// An operator whose Lease is here, with flags of one's own.
    pub async fn start(&self, kubeconfig: &Path, identity: &str, flags: &[&str]) -> Operator {
        let namespace = format!("--namespace={}", self.space);
        let own = [namespace.as_str(), "--observe-interval=1s"];
        Operator::start(kubeconfig, identity, &[&own, flags].concat()).await.unwrap()
    }

    /// Its objects of a kind.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.space, &resource(kind))
    }

    /// Makes a GrapeCluster as it is written, without defaults of ours.
    pub async fn cluster(&self, name: &str, spec: Value) -> Value {
        self.make("GrapeCluster", json!({"metadata": {"name": name}, "spec": spec})).await
    }

    /// Makes an object.
    pub async fn make(&self, kind: &str, mut object: Value) -> Value {
        let resource = resource(kind);
        object["apiVersion"] = resource.api_version.into();
        object["kind"] = resource.kind.into();
        let object = serde_json::from_value(object).unwrap();
        value(self.api(kind).create(&PostParams::default(), &object).await.unwrap())
    }

    /// Changes an object as somebody else, by a merge patch.
    pub async fn change(&self, kind: &str, name: &str, patch: Value) -> Value {
        let somebody = PatchParams { field_manager: Some("somebody".to_owned()), ..<_>::default() };
        let changed = self.api(kind).patch(name, &somebody, &Patch::Merge(patch)).await;
        value(changed.unwrap_or_else(|error| panic!("{kind} {name}: {error}")))
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).delete(name, &<_>::default()).await.unwrap();
    }

    /// An object, if it is there.
    pub async fn find(&self, kind: &str, name: &str) -> Option<Value> {
        self.api(kind).get_opt(name).await.unwrap().map(value)
    }

    /// An object that is there.
    pub async fn get(&self, kind: &str, name: &str) -> Value {
        self.find(kind, name).await.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// All objects of these kinds, by `KIND NAME`.
    pub async fn all(&self, kinds: &[&str]) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for kind in kinds {
            let list = self.api(kind).list(&ListParams::default()).await.unwrap();
            all.extend(list.items.into_iter().map(|it| (format!("{kind} {}", it.name_any()), it)));
        }
        all.into_iter().map(|(name, object)| (name, value(object))).collect()
    }

    /// What the operator made here, by `KIND NAME`.
    pub async fn children(&self) -> BTreeMap<String, Value> {
        self.all(&CHILDREN).await
    }

    /// The names of that.
    pub async fn names(&self) -> Vec<String> {
        self.children().await.into_keys().collect()
    }

    /// A cluster and what is made of it, without what differs from one run to the next, and from
    /// one cluster to another.
    pub async fn outcome(&self, cluster: &str) -> BTreeMap<String, Value> {
        let owner = self.get("GrapeCluster", cluster).await;
        let mut all = self.children().await;
        all.retain(|_, it| it["metadata"]["labels"]["app.kubernetes.io/instance"] == cluster);
        all.insert("GrapeCluster".to_owned(), owner.clone());
        let uid = owner["metadata"]["uid"].as_str().unwrap();
        let named = |text: String| {
            let text = text.replace(&self.space, "SPACE").replace(uid, "UID");
            text.replace(cluster, "CLUSTER")
        };
        let lasting = |object: Value| Self::lasting(&named(object.to_string()));
        all.into_iter().map(|(name, object)| (named(name), lasting(object))).collect()
    }

    fn lasting(object: &str) -> Value {
        let mut object = serde_json::from_str(object).unwrap();
        strip(&mut object);
        // Of what contains the namespace's name; the template itself is compared.
        if let Some(hash) = object.pointer_mut("/metadata/annotations/grenache.dev~1template-hash")
        {
            *hash = json!("HASH");
        }
        object
    }

    /// Waits until a cluster and what is made of it are as in another run, and nothing changes that
    /// any more.
    pub async fn until_ends_as(
        &self,
        cluster: &str,
        whole: &BTreeMap<String, Value>,
        proxy: &Proxy,
    ) -> Result<()> {
        wait::until(&format!("{cluster} is as in another run"), async || {
            until_quiet(proxy, Duration::from_millis(300)).await;
            let outcome = self.outcome(cluster).await;
            let differs =
                whole.keys().chain(outcome.keys()).find(|it| whole.get(*it) != outcome.get(*it));
            match differs {
                None => Ok(()),
                Some(it) => bail!("{it}: {:?} instead of {:?}", outcome.get(it), whole.get(it)),
            }
        })
        .await
    }

    /// Waits until an object is as it should be.
    pub async fn until(
        &self,
        what: &str,
        (kind, name): (&str, &str),
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        let seen = wait::until(what, async || match self.find(kind, name).await {
            Some(object) if is(&object) => Ok(object),
            other => Err(other.map_or("it is not there".to_owned(), |it| it.to_string())),
        });
        seen.await.unwrap()
    }

    /// Waits until something is gone.
    pub async fn until_gone(&self, kind: &str, name: &str) {
        let what = format!("{kind} {name} is gone");
        let gone = wait::until(&what, async || {
            self.find(kind, name).await.map_or(Ok(()), |it| Err(it["metadata"].to_string()))
        });
        gone.await.unwrap();
    }

    /// Waits until a cluster's status is of its last spec and has a condition with this reason, and
    /// gives that condition.
    pub async fn until_told(&self, name: &str, condition: &str, reason: &str) -> Value {
        self.until_told_one_of(name, condition, &[reason]).await
    }

    async fn until_told_one_of(&self, name: &str, condition: &str, reasons: &[&str]) -> Value {
        let what = format!("{name} is told to be {condition} or not for {reasons:?}");
        let cluster = self.until(&what, ("GrapeCluster", name), |cluster| {
            let reason = &told(cluster, condition)["reason"];
            is_seen(cluster) && reasons.iter().any(|each| reason == each)
        });
        told(&cluster.await, condition)
    }

    /// Waits for an event of this reason about a cluster.
    pub async fn until_event(&self, name: &str, reason: &str) -> Value {
        let what = format!("{reason} is told of {name}");
        let found = wait::until(&what, async || {
            let events = self.all(&["Event"]).await;
            let is = |it: &&Value| it["regarding"]["name"] == name && it["reason"] == reason;
            events.values().find(is).cloned().ok_or_else(|| format!("{:?}", events.keys()))
        });
        found.await.unwrap()
    }

    /// Waits until all objects of a cluster are as its spec wants them. Without pods that is
    /// `Scaling`: no Grape of those wanted is there.
    pub async fn until_applied(&self, name: &str) {
        self.until_unready(name, &["Scaling"]).await;
    }

    /// The same where controllers make pods, which no node runs: they may be there already.
    pub async fn until_applied_with_pods(&self, name: &str) {
        self.until_unready(name, &["Scaling", "GrapesNotReady"]).await;
    }

    async fn until_unready(&self, name: &str, reasons: &[&str]) {
        let condition = self.until_told_one_of(name, "Ready", reasons).await;
        assert_eq!(condition["status"], "False", "{condition}");
    }
}

/// Whether a status is of the last spec.
pub fn is_seen(cluster: &Value) -> bool {
    let seen = &cluster["status"]["observedGeneration"];
    !seen.is_null() && *seen == cluster["metadata"]["generation"]
}

/// A condition of a cluster; null without.
pub fn told(cluster: &Value, condition: &str) -> Value {
    let mut conditions = cluster["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|it| it["type"] == condition).cloned().unwrap_or_default()
}

/// Waits until nothing was written through a proxy for `time`, but Leases.
pub async fn until_quiet(proxy: &Proxy, time: Duration) {
    let (mut count, mut since) = (writes(proxy).len(), Instant::now());
    let end = since + wait::DEADLINE;
    while since.elapsed() < time {
        assert!(Instant::now() < end, "it goes on writing: {:?}", shown(&writes(proxy)).pop());
        sleep(Duration::from_millis(50)).await;
        let now = writes(proxy).len();
        if now != count {
            (count, since) = (now, Instant::now());
        }
    }
}

/// What was written through a proxy, but Leases. A review is sent as if it were written, and only asks.
pub fn writes(proxy: &Proxy) -> Vec<Call> {
    let kept = |call: &Call| !call.path.contains("/leases") && !call.path.ends_with("reviews");
    proxy.writes().into_iter().filter(kept).collect()
}

/// Calls as `METHOD PATH`.
pub fn shown(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| format!("{} {}", call.method, call.path)).collect()
}

fn value(object: DynamicObject) -> Value {
    serde_json::to_value(object).unwrap()
}

/// Takes out who an object is and when it became so.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for field in
                ["uid", "resourceVersion", "creationTimestamp", "time", "lastTransitionTime"]
            {
                fields.remove(field);
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => {
            items.iter_mut().for_each(strip);
            // The entries of managedFields are in the order of their times.
            if items.iter().all(|item| item["manager"].is_string()) {
                items.sort_by_key(Value::to_string);
            }
        }
        _ => {}
    }
}
