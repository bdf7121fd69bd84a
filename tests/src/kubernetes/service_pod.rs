//! Pods of services in Node.js and Python, and Grapes as containers. All keep the `restricted`
//! standard.

use serde_json::{Value, json};

/// The name of the container that the program of a service is in.
pub const CONTAINER: &str = "service";

/// A pod that runs a program of `tests/peers` in a zone; it is found by the label `app=NAME`. The
/// program ends when its standard input does.
pub fn node_js(name: &str, zone: &str, program: &str, argument: &Value) -> Value {
    service(name, zone, "localhost/peers:test", json!([program, argument.to_string()]))
}

/// The same, of a program in Python.
pub fn python(name: &str, zone: &str, program: &str) -> Value {
    service(name, zone, "localhost/python:test", json!(["-c", program]))
}

fn service(name: &str, zone: &str, image: &str, arguments: Value) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"topology.kubernetes.io/zone": zone},
            "securityContext": pod_security(),
            "containers": [{
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": "Never",
                "args": arguments,
                "stdin": true,
                "resources": share(),
                "securityContext": container_security(),
            }],
        },
    })
}

/// A Grape beside a service, where the service's own host is: it is ready before the service
/// starts, and ends after it.
pub fn sidecar(bootstrap: &str) -> Value {
    let mut grape = grape("127.0.0.1", bootstrap);
    grape["restartPolicy"] = "Always".into();
    grape
}

/// A Grape whose API is at an address.
pub fn grape(bind: &str, bootstrap: &str) -> Value {
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "admin"}});
    let mut container = json!({
        "name": "grape",
        "image": "localhost/grape:test",
        "imagePullPolicy": "Never",
        "args": ["--bind", bind, "--bootstrap", bootstrap, "--admin-bind", "0.0.0.0:9091"],
        "ports": [
            {"name": "dht", "containerPort": 20001, "protocol": "UDP"},
            {"name": "admin", "containerPort": 9091},
        ],
        "resources": share(),
        "securityContext": container_security(),
        "startupProbe": probe("/readyz"),
        "readinessProbe": probe("/readyz"),
        "livenessProbe": probe("/healthz"),
    });
    container["startupProbe"]["periodSeconds"] = 1.into();
    container["startupProbe"]["failureThreshold"] = 60.into();
    container
}

/// A pod that asks for nothing gets a five-hundredth of what any other one gets, and stands still for
/// many seconds on a machine that is busy.
fn share() -> Value {
    json!({"requests": {"cpu": "50m"}})
}

/// What the standard wants of a pod.
pub fn pod_security() -> Value {
    json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
}

fn container_security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
    })
}
