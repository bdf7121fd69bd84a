//! What is kept of pods.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn pod(metadata: Value, spec: Value, status: Value) -> Pod {
    let mut pod = json!({"metadata": metadata, "spec": spec, "status": status});
    pod["metadata"]["namespace"] = "web".into();
    pod["metadata"]["name"] = "a-1".into();
    serde_json::from_value(pod).unwrap()
}

fn kept(metadata: Value, spec: Value, status: Value) -> ServicePod {
    ServicePod::of(pod(metadata, spec, status), &BTreeMap::new()).unwrap()
}

fn injected(annotations: Value, image: &str, ready: bool) -> ServicePod {
    kept(
        json!({
            "labels": {"grenache.dev/cluster": "trading.market", "grenache.dev/grape": "injected"},
            "annotations": annotations,
        }),
        json!({
            "containers": [{"name": "service"}],
            "initContainers": [
                {
                    "name": "grape", "image": image, "restartPolicy": "Always",
                    "ports": [
                        {"name": "dht", "containerPort": 20002, "protocol": "UDP"},
                        {"name": "admin", "containerPort": 9092},
                    ],
                },
                {"name": "other", "ports": [{"name": "admin", "containerPort": 1}]},
            ],
        }),
        json!({
            "podIP": "10.1.2.3",
            "conditions": [{"type": "Ready", "status": "True"}],
            "initContainerStatuses": [{
                "name": "grape", "image": "sha", "imageID": "", "ready": ready, "restartCount": 0,
            }],
        }),
    )
}

#[test]
fn of_an_injected_pod_its_grape_is_kept() {
    let pod = injected(json!({}), "grape:1", true);
    assert_eq!((&*pod.title(), pod.ready, pod.leaving), ("web/a-1", true, false));
    assert_eq!((&*pod.selected.namespace, &*pod.selected.name), ("trading", "market"));
    assert_eq!(pod.ip, Some("10.1.2.3".parse().unwrap()));
    let grape = |is_own_image, ready| Sidecar {
        image: "grape:1".to_owned(),
        is_own_image,
        ready,
        admin_port: Some(9092),
        dht_port: Some(20002),
        asked_image: None,
        failing: None,
    };
    assert_eq!(pod.sidecar(), Some(&grape(false, true)));
    let own = injected(json!({"grenache.dev/image": "grape:1"}), "grape:1", false);
    assert_eq!(own.sidecar(), Some(&grape(true, false)));
}

#[rstest]
#[case::as_it_was_asked_for(Some("grape:1"), "grape:1", false)]
#[case::from_a_mirror(Some("grape:1"), "mirror.corp/cache@sha256:ab", false)]
#[case::of_another_version(Some("grape:0"), "grape:0", true)]
#[case::another_from_a_mirror(Some("grape:0"), "mirror.corp/grape:0", true)]
#[case::changed_in_place(Some("grape:0"), "grape:1", false)]
#[case::from_before_it_was_noted(None, "grape:1", false)]
#[case::from_before_and_a_mirror(None, "mirror.corp/grape:1", false)]
#[case::from_before_and_another(None, "mirror.corp/grape:0", true)]
fn what_others_make_of_an_image_makes_no_grape_outdated(
    #[case] asked: Option<&str>,
    #[case] image: &str,
    #[case] expected: bool,
) {
    let note = asked.map(|asked| ("grenache.dev/injected-image", asked));
    let mut annotations: BTreeMap<_, _> = note.into_iter().collect();
    let pod = injected(json!(annotations), image, true);
    assert_eq!(pod.sidecar().unwrap().is_outdated("grape:1"), expected);
    annotations.insert("grenache.dev/image", "grape:0");
    let own = injected(json!(annotations), image, true);
    assert!(!own.sidecar().unwrap().is_outdated("grape:1"), "it has an image of its own");
}

/// What a node says of a Grape that has ended `restarts` times.
fn ended(state: Value, restarts: i32) -> Option<String> {
    let mut pod = json!({
        "metadata": {"name": "a-1", "namespace": "web", "labels": {
            "grenache.dev/cluster": "market", "grenache.dev/grape": "injected",
        }},
        "spec": {
            "containers": [],
            "initContainers": [{"name": "grape", "image": "grape:1", "restartPolicy": "Always"}],
        },
    });
    pod["status"] = json!({"initContainerStatuses": [{
        "name": "grape", "image": "grape:1", "imageID": "", "ready": false, "state": state,
        "restartCount": restarts, "lastState": {"terminated": {
            "exitCode": 2, "finishedAt": "2020-01-01T00:00:00Z", "message": "grape: no port\n",
        }},
    }]});
    let pod = ServicePod::of(serde_json::from_value(pod).unwrap(), &BTreeMap::new()).unwrap();
    pod.sidecar().unwrap().failing.clone()
}

#[test]
fn a_grape_that_does_not_start_tells_why() {
    let why = Some("it ends with exit code 2: no port".to_owned());
    assert_eq!(ended(json!({"waiting": {"reason": "CrashLoopBackOff"}}), 1), why);
    assert_eq!(ended(json!({"running": {}}), 2), why, "it is about to end again");
    assert_eq!(ended(json!({"running": {}}), 1), None);
    assert_eq!(ended(json!({"terminated": {"exitCode": 0}}), 0), None, "that of a Job");
    assert_eq!(ended(json!({"waiting": {"reason": "PodInitializing"}}), 0), None);
}

#[test]
fn a_label_that_was_copied_is_no_grape() {
    let labels = json!({"labels": {
        "grenache.dev/cluster": "market", "grenache.dev/grape": "injected",
    }});
    let pod = kept(labels, json!({"containers": [{"name": "service"}]}), json!({}));
    assert_eq!(pod.sidecar(), None);
}

#[test]
fn of_one_without_its_grape_what_the_webhook_looks_at_is_kept() {
    let pod = kept(
        json!({
            "uid": "u",
            "labels": {"grenache.dev/cluster": "market"},
            "annotations": {
                "grenache.dev/announce": "a:1",
                "kubectl.kubernetes.io/last-applied-configuration": "long",
            },
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "o"},
                {
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "r",
                    "controller": true,
                },
            ],
        }),
        json!({
            "hostNetwork": true,
            "containers": [{
                "name": "service",
                "image": "long",
                "env": [{"name": "LONG", "value": "long"}],
                "ports": [{"containerPort": 9091}],
                "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 3},
            }],
            "volumes": [{"name": "long"}],
        }),
        json!({"phase": "Running"}),
    );
    assert_eq!(pod.maker.as_ref().unwrap().to_string(), "web/ReplicaSet a");
    assert_eq!((&*pod.uid, pod.made.unwrap().as_second()), ("u", 1_767_225_600));
    let SidecarState::None(bare) = &pod.grape else { panic!("{pod:?}") };
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "a-1",
            "namespace": "web",
            "labels": {"grenache.dev/cluster": "market"},
            "annotations": {"grenache.dev/announce": "a:1"},
        },
        "spec": {
            "hostNetwork": true,
            "containers": [{
                "name": "service",
                "ports": [{"containerPort": 9091}],
                "readinessProbe": {"tcpSocket": {"port": 80}},
            }],
        },
    });
    assert_eq!(serde_json::to_value(bare).unwrap(), expected);
}

#[test]
fn the_label_of_a_namespace_goes_for_pods_without_one() {
    let of_namespace = BTreeMap::from([("grenache.dev/cluster".to_owned(), "market".to_owned())]);
    let selected = |labels: Value| {
        let pod = pod(json!({"labels": labels}), json!({"containers": []}), json!({}));
        let kept = ServicePod::of(pod, &of_namespace)?;
        Some(format!("{}/{}", kept.selected.namespace, kept.selected.name))
    };
    assert_eq!(selected(json!({})).as_deref(), Some("web/market"));
    assert_eq!(selected(json!({"grenache.dev/cluster": "b.c"})).as_deref(), Some("b/c"));
    assert_eq!(selected(json!({"grenache.dev/inject": "disabled"})), None);
    assert_eq!(selected(json!({"grenache.dev/cluster": "a.b.c"})), None);
    assert_eq!(selected(json!({"app.kubernetes.io/managed-by": "grape-operator"})), None);
}

#[test]
fn a_job_and_a_node_make_no_pod_for_an_evicted_one() {
    let replaces = |kind: &str| {
        Maker { namespace: "web".to_owned(), kind: kind.to_owned(), name: "a".to_owned() }
            .replaces()
    };
    assert!(["ReplicaSet", "StatefulSet", "DaemonSet", "Other"].into_iter().all(replaces));
    assert!(!["Job", "Node"].into_iter().any(replaces));
}
