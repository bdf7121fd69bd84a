//! AdmissionReviews at the operator's webhook: each is answered, a refusal says why, and a patch fits
//! the pod that it is for.

#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arbitrary::Unstructured;
use grape_cluster::manifest;
use grape_cluster::validate::{From, ValidatedCluster};
use grape_fuzz::edited;
use grape_operator::inject::{self, Context, Named, Reason, Verdict};
use grape_operator::webhook::review::{self, Review};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// A review of a pod that uses what the webhook reads.
static BASE: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../seeds/admission/review.json")).expect("it is JSON")
});

const CLUSTER: &str = "{apiVersion: grenache.dev/v1alpha1, kind: GrapeCluster, \
                       metadata: {name: market, namespace: trading}, spec: {}}";

static MARKET: LazyLock<Arc<ValidatedCluster>> = LazyLock::new(|| {
    let (_, mut cluster) = manifest::read(CLUSTER).expect("it is a valid cluster");
    cluster.injection.namespaces = From::All;
    Arc::new(cluster)
});

/// Keys and values that the webhook reads.
const WORDS: &[&str] = &[
    "",
    "0s",
    "1",
    "7s",
    "20001",
    "30001",
    "64Mi",
    "Always",
    "Default",
    "Deny",
    "GRAPE_URL",
    "Guaranteed",
    "None",
    "UDP",
    "a/b~c",
    "annotations",
    "app",
    "args",
    "command",
    "containerPort",
    "containers",
    "disabled",
    "dnsPolicy",
    "env",
    "ephemeralContainers",
    "exec",
    "grape",
    "grenache.dev/admin-port",
    "grenache.dev/announce",
    "grenache.dev/cluster",
    "grenache.dev/cpu-limit",
    "grenache.dev/cpu-request",
    "grenache.dev/dht-port",
    "grenache.dev/drain",
    "grenache.dev/gossip",
    "grenache.dev/grape",
    "grenache.dev/image",
    "grenache.dev/inject",
    "grenache.dev/injected-by",
    "grenache.dev/log",
    "grenache.dev/memory-limit",
    "hostIP",
    "hostNetwork",
    "hostPort",
    "httpGet",
    "image",
    "imagePullSecrets",
    "initContainers",
    "injected",
    "kubernetes.io/config.mirror",
    "kubernetes.io/os",
    "labels",
    "lifecycle",
    "limits",
    "market",
    "metadata",
    "name",
    "namespace",
    "nodeSelector",
    "os",
    "port",
    "ports",
    "postStart",
    "preStop",
    "protocol",
    "readinessProbe",
    "requests",
    "resources",
    "restartPolicy",
    "rpc_test:1337",
    "runAsNonRoot",
    "runAsUser",
    "securityContext",
    "shareProcessNamespace",
    "sleep",
    "spec",
    "sysctls",
    "tcpSocket",
    "terminationGracePeriodSeconds",
    "trading",
    "trading.market",
    "value",
    "windows",
];

fuzz_target!(|bytes: &[u8]| match bytes {
    [kind @ ..0x20, choices @ ..] => {
        let mut u = Unstructured::new(choices);
        let Ok(review) = edited(&mut u, &BASE, WORDS) else { return };
        check(review.to_string().as_bytes(), *kind);
    }
    // What begins as a text is one.
    text => check(text, text.len() as u8),
});

fn check(body: &[u8], kind: u8) {
    let review = match review::read(body) {
        Ok(review) => review,
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("expected ") && text.contains(": "), "{text}");
            return;
        }
    };
    let verdict = judge(&review.pod, &review.namespace, kind);
    match &verdict {
        Verdict::Refuse { message, .. } | Verdict::Skip { message, .. } => {
            assert!(message.contains("; "), "a refusal says what to do: {message}");
        }
        Verdict::Inject { .. } | Verdict::Unchanged { .. } => {}
    }
    let answer = review::answer(&review, verdict.clone()).expect("every verdict can be written");
    let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
    let response = &answer["response"];
    assert_eq!(response["uid"], json!(review.request.uid));
    assert_eq!(response["allowed"], json!(!matches!(verdict, Verdict::Refuse { .. })));
    if let Verdict::Inject { .. } = verdict {
        patched(body, response, &review, kind);
    }
}

/// The API server applies the answer's patch to the pod that it sent, and may ask again.
fn patched(body: &[u8], response: &Value, review: &Review, kind: u8) {
    let patch: ByteString =
        serde_json::from_value(response["patch"].clone()).expect("it is base64");
    let patch: json_patch::Patch = serde_json::from_slice(&patch.0).expect("it is a JSON patch");
    // What the webhook does not look at may be no JSON of an API server's: numbers that no f64 holds.
    let Ok(mut sent) = serde_json::from_slice::<Value>(body) else { return };
    let pod = sent.pointer_mut("/request/object").expect("it was read before");
    json_patch::patch(pod, &patch).unwrap_or_else(|error| panic!("{error}: {patch} on {pod}"));
    let pod: Pod = serde_json::from_value(pod.clone()).expect("a patched pod is a pod");
    let again = judge(&pod, &review.namespace, kind);
    assert_eq!(again, Verdict::Unchanged { reason: Reason::AlreadyInjected });
}

/// The verdict where there is one cluster. `kind` chooses the labels of the namespace.
fn judge(pod: &Pod, namespace: &str, kind: u8) -> Verdict {
    let label = match kind % 4 {
        0 => Some("trading.market"),
        1 => Some("Market!"),
        2 => Some("trading.markt"),
        _ => None,
    };
    let labels: BTreeMap<String, String> = label
        .map(|value| ("grenache.dev/cluster".to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let clusters = |namespace: &str, name: &str| {
        ((namespace, name) == ("trading", "market")).then(|| Arc::clone(&MARKET))
    };
    let all = || -> Vec<Named> {
        vec![(("trading".to_owned(), "market".to_owned()), Arc::clone(&MARKET))]
    };
    let context = Context {
        namespace,
        namespace_labels: &labels,
        clusters: &clusters,
        all: &all,
        grape_image: "grenache/grape:0.1.0",
    };
    inject::inject(pod, &context)
}
