//! What a pod's Grape has of the node.

use std::collections::BTreeMap;

use grape_cluster::quantity::{QuantityText, amount};
use grape_cluster::validate::Injection;
use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Objection;
use super::annotations::{self, Annotations};
use crate::desired::grape;

/// The resources that decide about a pod's class.
const CLASSIFIED: [&str; 2] = ["cpu", "memory"];

/// What the Grape of a pod has: what the pod says goes before what the cluster says, and that before
/// what a Grape needs.
pub(super) fn of(
    spec: &PodSpec,
    injection: &Injection,
    own: &Annotations,
) -> Result<Option<ResourceRequirements>, Objection> {
    let asking = &own.resources;
    let (mut requests, mut limits) = match &injection.resources {
        Some(resources) => (resources.requests.clone(), resources.limits.clone()),
        // With any other Grape the whole pod would lose its class, and with it CPUs of its own and
        // the place among the last to go when the node is short of memory.
        None if is_guaranteed(spec) => {
            let mut same = grape::quantities([("cpu", "100m"), ("memory", "64Mi")]);
            same.extend(asking.limits.clone());
            same.extend(asking.requests.clone());
            (same.clone(), same)
        }
        // A Grape beside a service holds little for others. No limit of CPU: it would only make
        // lookups wait while the CPU is idle.
        None => (
            grape::quantities([("cpu", "10m"), ("memory", "16Mi")]),
            grape::quantities([("memory", "64Mi")]),
        ),
    };
    // What is said of the pod as a whole, the Grape shares: its containers may not ask for more
    // together.
    let whole = spec.resources.as_ref();
    let of_pod = |name: &str| {
        let has = |own: &Option<BTreeMap<String, Quantity>>| {
            own.as_ref().is_some_and(|own| own.contains_key(name))
        };
        whole.is_some_and(|whole| has(&whole.requests) || has(&whole.limits))
    };
    requests.retain(|name, _| !of_pod(name));
    limits.retain(|name, _| !of_pod(name));
    requests.extend(asking.requests.clone());
    limits.extend(asking.limits.clone());
    reconcile(&mut requests, &mut limits, own)?;
    Ok(grape::resources(&requests, &limits))
}

/// No request is more than its limit, or the API server would refuse the pod: what the pod says
/// moves the other.
fn reconcile(
    requests: &mut BTreeMap<String, QuantityText>,
    limits: &mut BTreeMap<String, QuantityText>,
    own: &Annotations,
) -> Result<(), Objection> {
    for (name, limit) in limits {
        let Some(request) = requests.get_mut(name) else { continue };
        if amount(&request.to_string()) <= amount(&limit.to_string()) {
            continue;
        }
        let asking = &own.resources;
        if !asking.requests.contains_key(name) {
            *request = limit.clone();
        } else if !asking.limits.contains_key(name) {
            *limit = request.clone();
        } else {
            let (key, other) = match name.as_str() {
                "cpu" => (annotations::CPU_REQUEST, annotations::CPU_LIMIT),
                _ => (annotations::MEMORY_REQUEST, annotations::MEMORY_LIMIT),
            };
            let expected = format!("{limit} at most, which is {other}");
            return Err(annotations::invalid(key, format!("{request} is too much"), &expected));
        }
    }
    Ok(())
}

/// Whether a pod is of the class Guaranteed without its Grape: each container has of CPU and memory
/// what it asks for, and no more.
fn is_guaranteed(spec: &PodSpec) -> bool {
    let mut all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.all(|container| {
        let Some(resources) = &container.resources else { return false };
        let of = |own: &Option<BTreeMap<String, Quantity>>, name: &str| {
            own.as_ref()?.get(name).and_then(|quantity| amount(&quantity.0))
        };
        CLASSIFIED.iter().all(|name| {
            let limit = of(&resources.limits, name);
            // By default the request equals the limit.
            limit.is_some() && of(&resources.requests, name).is_none_or(|own| Some(own) == limit)
        })
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::inject::annotations::Asking;
    use grape_cluster::pods::Resources;
    use grape_cluster::validate::From;

    const BEST_EFFORT: &str = "{containers: [{name: a}]}";
    const GUARANTEED: &str = "{containers: [{name: a, resources: {limits: {cpu: 1000m, memory: 1Gi}, requests: {cpu: 1}}}]}";
    const TWO_NOTATIONS: &str = "{containers: [{name: a, resources: {limits: {cpu: 350m, \
         memory: 1Gi}, requests: {cpu: '0.35', memory: 1024Mi}}}]}";
    const WITH_INIT: &str = "{initContainers: [{name: b}], containers: [{name: a, \
         resources: {limits: {cpu: 1, memory: 1Gi}}}]}";
    const BURSTABLE: &str = "{containers: [{name: a, \
         resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}}]}";
    const SHARED: &str = "{containers: [{name: a}], resources: {limits: {memory: 1Gi}}}";

    /// `CPU-MEMORY` of the requests, and of the limits; `_` where there is none.
    fn told(spec: &str, cluster: Option<(&str, &str)>, asked: (&str, &str)) -> String {
        let resources =
            |(requests, limits)| Resources { requests: read(requests), limits: read(limits) };
        let injection = Injection {
            namespaces: From::Same,
            resources: cluster.map(resources),
            admin_port: 9091,
            dht_port: 20001,
            repair: false,
        };
        let (requests, limits) = asked;
        let asking = Asking { requests: read(requests), limits: read(limits) };
        let own = Annotations { resources: asking, ..Annotations::default() };
        let spec = serde_yaml::from_str(spec).unwrap();
        match of(&spec, &injection, &own) {
            Ok(resources) => {
                let resources = json!(resources);
                let part = |part: &str, name: &str| match &resources[part][name] {
                    Value::String(text) => text.clone(),
                    _ => "_".to_owned(),
                };
                ["requests", "limits"]
                    .map(|of| format!("{}-{}", part(of, "cpu"), part(of, "memory")))
                    .join(" ")
            }
            Err(Objection { problem, remedy, .. }) => format!("{problem}; {remedy}"),
        }
    }

    fn read(text: &str) -> BTreeMap<String, QuantityText> {
        let names = CLASSIFIED.iter().map(|name| (*name).to_owned());
        let all = names.zip(text.split('-')).filter(|(_, text)| *text != "_");
        all.map(|(name, text)| (name, text.into())).collect()
    }

    const NONE: (&str, &str) = ("_-_", "_-_");

    #[rstest]
    #[case::nothing_told(BEST_EFFORT, None, NONE, "10m-16Mi _-64Mi")]
    #[case::the_clusters(BEST_EFFORT, Some(("5m-_", "50m-32Mi")), NONE, "5m-32Mi 50m-32Mi")]
    #[case::the_cluster_wants_none(BEST_EFFORT, Some(NONE), NONE, "_-_ _-_")]
    #[case::the_pods(BEST_EFFORT, None, ("20m-_", "_-80Mi"), "20m-16Mi _-80Mi")]
    #[case::the_pods_first(
        BEST_EFFORT, Some(("5m-8Mi", "50m-32Mi")), ("20m-_", "_-80Mi"), "20m-8Mi 50m-80Mi"
    )]
    #[case::a_large_request_lifts_the_limit(
        BEST_EFFORT, None, ("_-128Mi", "_-_"), "10m-128Mi _-128Mi"
    )]
    #[case::a_small_limit_lowers_the_request(
        BEST_EFFORT, None, ("_-_", "0.005-8Mi"), "0.005-8Mi 0.005-8Mi"
    )]
    #[case::the_clusters_request_is_too_large(
        BEST_EFFORT, Some(("_-1Gi", "_-64Mi")), NONE, "_-64Mi _-64Mi"
    )]
    #[case::the_same_in_two_notations(
        BEST_EFFORT, None, ("350m-64Mi", "0.35-0.0625Gi"), "350m-64Mi 0.35-0.0625Gi"
    )]
    #[case::the_clusters_in_two_notations(
        BEST_EFFORT, Some(("350m-_", "_-_")), ("_-_", "0.35-_"), "350m-_ 0.35-_"
    )]
    #[case::both_and_wrong(
        BEST_EFFORT,
        None,
        ("_-1Gi", "_-1000Mi"),
        "annotation grenache.dev/memory-request: 1Gi is too much; expected 1000Mi at most, which is \
         grenache.dev/memory-limit"
    )]
    #[case::both_and_a_little_wrong(
        BEST_EFFORT,
        None,
        ("350.000001m-_", "0.35-_"),
        "annotation grenache.dev/cpu-request: 350.000001m is too much; expected 0.35 at most, which \
         is grenache.dev/cpu-limit"
    )]
    #[case::guaranteed_in_two_notations(TWO_NOTATIONS, None, NONE, "100m-64Mi 100m-64Mi")]
    #[case::guaranteed(GUARANTEED, None, NONE, "100m-64Mi 100m-64Mi")]
    #[case::guaranteed_with_more(GUARANTEED, None, ("1-_", "_-80Mi"), "1-80Mi 1-80Mi")]
    #[case::guaranteed_no_more(GUARANTEED, None, ("1-_", "2-_"), "1-64Mi 2-64Mi")]
    #[case::guaranteed_as_the_cluster_says(GUARANTEED, Some(("5m-_", "_-_")), NONE, "5m-_ _-_")]
    #[case::an_init_container_is_not(WITH_INIT, None, NONE, "10m-16Mi _-64Mi")]
    #[case::burstable(BURSTABLE, None, NONE, "10m-16Mi _-64Mi")]
    #[case::what_is_the_pods_is_shared(SHARED, None, NONE, "10m-_ _-_")]
    #[case::unless_it_asks(SHARED, None, ("_-8Mi", "_-_"), "10m-8Mi _-_")]
    fn a_grape_has_of_the_node(
        #[case] spec: &str,
        #[case] cluster: Option<(&str, &str)>,
        #[case] asked: (&str, &str),
        #[case] expected: &str,
    ) {
        assert_eq!(told(spec, cluster, asked), expected);
    }
}
