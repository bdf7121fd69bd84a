//! The webhook alone, on the network of the nodes.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::helm::{self, Rendered};

const ON: &str = "--set=webhook.hostNetwork=true";

type Labels = BTreeMap<String, String>;

fn named<K: ResourceExt>(all: Vec<K>, name: &str) -> K {
    let names: Vec<_> = all.iter().map(ResourceExt::name_any).collect();
    let found = all.into_iter().find(|each| each.name_any() == name);
    found.unwrap_or_else(|| panic!("{name} is not in {names:?}"))
}

fn deployments(arguments: &[&str]) -> [Deployment; 2] {
    let all: Vec<Deployment> = Rendered::of(arguments).all();
    assert_eq!(all.len(), 2);
    ["grape-operator-controller", "grape-operator-webhook"].map(|name| named(all.clone(), name))
}

fn pod_labels(of: &Deployment) -> Labels {
    of.spec.as_ref().unwrap().template.metadata.as_ref().unwrap().labels.clone().unwrap()
}

fn selector(of: &Deployment) -> Labels {
    of.spec.as_ref().unwrap().selector.match_labels.clone().unwrap()
}

fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[test]
fn the_webhook_alone_is_on_the_nodes() {
    let [controller, webhook] = deployments(&[ON]);
    let spec = webhook.spec.unwrap();
    let rolling = spec.strategy.unwrap().rolling_update.unwrap();
    assert_eq!(rolling.max_surge, Some(IntOrString::Int(0)), "one holds the ports of its node");
    assert_eq!(rolling.max_unavailable, Some(IntOrString::Int(1)));
    let pod = spec.template.spec.unwrap();
    assert_eq!(pod.host_network, Some(true));
    assert_eq!(pod.dns_policy.as_deref(), Some("ClusterFirstWithHostNet"));
    let container = &pod.containers[0];
    assert!(container.args.as_ref().unwrap().contains(&"--component=webhook".to_owned()));
    let ports = container.ports.iter().flatten();
    let ports: Vec<_> = ports.map(|it| (it.name.as_deref(), it.host_port)).collect();
    assert_eq!(ports, [(Some("admin"), Some(9090)), (Some("webhook"), Some(9443))]);

    let pod = controller.spec.unwrap().template.spec.unwrap();
    assert_eq!((pod.host_network, pod.dns_policy), (None, None));
    let container = &pod.containers[0];
    let args = container.args.as_ref().unwrap();
    assert!(args.contains(&"--component=controller".to_owned()), "{args:?}");
    assert!(args.contains(&"--webhook-name=grape-operator-webhook".to_owned()), "{args:?}");
    let ports = container.ports.iter().flatten();
    let ports: Vec<_> = ports.map(|it| (it.name.as_deref(), it.host_port)).collect();
    assert_eq!(ports, [(Some("admin"), None)]);
}

#[test]
fn the_ports_are_values() {
    let [controller, webhook] =
        deployments(&[ON, "--set=adminPort=10001,webhook.port=10002,serviceMonitor.enabled=true"]);
    for (deployment, expected) in
        [(controller, &[("admin", 10001)][..]), (webhook, &[("admin", 10001), ("webhook", 10002)])]
    {
        let container = deployment.spec.unwrap().template.spec.unwrap().containers.remove(0);
        let args = container.args.unwrap();
        assert!(args.contains(&"--admin-bind=[::]:10001".to_owned()), "{args:?}");
        let binds = args.contains(&"--webhook-bind=[::]:10002".to_owned());
        assert_eq!(binds, expected.len() == 2, "{args:?}");
        let ports: Vec<_> = container.ports.unwrap();
        let ports: Vec<_> =
            ports.iter().map(|it| (it.name.as_deref().unwrap(), it.container_port)).collect();
        assert_eq!(ports, expected);
    }
    let rendered = Rendered::of(&[ON, "--set=adminPort=10001"]);
    let admin = named(rendered.all::<Service>(), "grape-operator").spec.unwrap().ports.unwrap();
    assert_eq!(admin[0].port, 10001);
    let check = Rendered::tests_of(&[ON, "--set=adminPort=10001"]);
    let check = serde_json::to_string(check.one_of_kind("Pod")).unwrap();
    assert!(check.contains("--operator=http://grape-operator.ops.svc:10001"), "{check}");
}

/// No Deployment selects the pods of the other one, and all else selects both.
#[test]
fn each_deployment_has_its_own_pods() {
    let [controller, webhook] = deployments(&[ON]);
    for (one, other) in [(&controller, &webhook), (&webhook, &controller)] {
        assert!(selects(&selector(one), &pod_labels(one)));
        assert!(!selects(&selector(one), &pod_labels(other)));
        // So it can be replaced by an upgrade: it is not the Deployment of a release without the value.
        assert_ne!(one.name_any(), "grape-operator");
        let spread = one.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        for each in spread.topology_spread_constraints.iter().flatten() {
            let labels = each.label_selector.as_ref().unwrap().match_labels.clone().unwrap();
            assert_eq!(labels, selector(one));
        }
    }
    let monitored = helm::values("monitored.yaml");
    let rendered = Rendered::of(&[ON, "--values", &monitored]);
    let services = rendered.all::<Service>();
    let service = |name: &str| named(services.clone(), name).spec.unwrap().selector.unwrap();
    let budget = rendered.one::<PodDisruptionBudget>().spec.unwrap().selector.unwrap();
    let policy = rendered.one::<NetworkPolicy>().spec.unwrap();
    // The pods that have the port `webhook` are endpoints of its Service: those that serve it now, and
    // while an upgrade changes the value those that served it before.
    for selector in [
        service("grape-operator"),
        service("grape-operator-webhook"),
        budget.match_labels.unwrap(),
        policy.pod_selector.unwrap().match_labels.unwrap(),
    ] {
        assert!(selects(&selector, &pod_labels(&controller)), "{selector:?}");
        assert!(selects(&selector, &pod_labels(&webhook)), "{selector:?}");
    }
    let open = policy.ingress.unwrap().remove(0).ports.unwrap();
    assert_eq!(open.len(), 1, "no policy reaches the webhook on the nodes' network: {open:?}");
    let off = Rendered::of(&["--values", &monitored]);
    for name in ["grape-operator", "grape-operator-webhook"] {
        let before = named(off.all::<Service>(), name).spec;
        assert_eq!(before, named(services.clone(), name).spec, "an upgrade leaves {name}");
    }
}

#[test]
fn without_a_webhook_there_is_no_second_deployment() {
    let without = Rendered::of(&[ON, "--set=webhook.enabled=false"]);
    assert_eq!(without.objects(), Rendered::of(&["--set=webhook.enabled=false"]).objects());
}

#[test]
fn the_notes_name_both_deployments_and_what_the_namespace_needs() {
    let chart = helm::chart();
    let install = ["install", "grape-operator", chart.to_str().unwrap(), "--namespace=ops"];
    let notes = helm::printed([&install[..], &["--dry-run=client", ON]].concat());
    for part in [
        "kubectl rollout status deployment/grape-operator-controller -n ops\n",
        "kubectl rollout status deployment/grape-operator-webhook -n ops\n",
        "kubectl label namespace ops pod-security.kubernetes.io/enforce=privileged",
    ] {
        assert!(notes.contains(part), "{part:?} is not in {notes}");
    }
}
