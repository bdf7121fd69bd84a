//! The operator's pods.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rstest::rstest;
use serde_json::{Value, json};

use crate::helm::{self, Rendered};

fn pod(arguments: &[&str]) -> PodSpec {
    Rendered::of(arguments).one::<Deployment>().spec.unwrap().template.spec.unwrap()
}

fn container(arguments: &[&str]) -> Container {
    let mut containers = pod(arguments).containers;
    assert_eq!(containers.len(), 1);
    containers.remove(0)
}

/// What the Pod Security Standard `restricted` asks for, and a root that cannot be written to.
fn assert_restricted(pod: &PodSpec) {
    let security = pod.security_context.as_ref().unwrap();
    assert_eq!(security.run_as_non_root, Some(true));
    assert_eq!(security.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault");
    assert_eq!(security.run_as_user, None, "OpenShift gives each namespace its own");
    for container in &pod.containers {
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false));
        assert_eq!(security.read_only_root_filesystem, Some(true));
        let capabilities = security.capabilities.as_ref().unwrap();
        assert_eq!(capabilities.drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(capabilities.add, None);
    }
    for volume in pod.volumes.iter().flatten() {
        assert_eq!(volume.secret.as_ref().unwrap().secret_name.as_deref(), Some("certificate"));
    }
    assert!(pod.host_network.is_none() && pod.host_pid.is_none());
}

#[test]
fn every_pod_is_restricted() {
    let tested: Pod = Rendered::tests_of(&[]).one();
    assert_restricted(&tested.spec.unwrap());
    assert_restricted(&pod(&[]));
    assert_restricted(&pod(&["--values", &helm::values("everything.yaml")]));
}

#[test]
fn the_flags_are_those_of_the_values() {
    let default = [
        "run",
        "--lease-name=grape-operator",
        "--lease-duration=15s",
        "--renew-deadline=10s",
        "--retry-period=2s",
        "--webhook-bind=[::]:9443",
        "--webhook-name=grape-operator-webhook",
        "--webhook-certificate-lifetime=2160h",
        "--observe-interval=15s",
        "--concurrency=8",
        "--log=info",
        "--log-format=json",
    ];
    assert_eq!(container(&[]).args.unwrap(), default);
    let everything = [
        "run",
        "--watch-namespaces=market,trade",
        "--lease-name=grapes",
        "--lease-duration=14s",
        "--renew-deadline=9s",
        "--retry-period=3s",
        "--admin-bind=[::]:9091",
        "--webhook-bind=[::]:10250",
        "--webhook-name=grapes-webhook",
        "--webhook-certificate-lifetime=24h",
        "--webhook-certificates=/certificates",
        "--observe-interval=1m30s",
        "--concurrency=4",
        "--log=info,kube=debug",
        "--log-format=text",
        "--flag-of-later=1",
    ];
    let all = container(&["--values", &helm::values("everything.yaml")]);
    assert_eq!(all.args.unwrap(), everything);
    let none = container(&["--set=webhook.enabled=false"]).args.unwrap();
    assert!(none.contains(&"--webhook-bind=".to_owned()), "{none:?}");
}

#[test]
fn a_pod_knows_its_name_its_namespace_and_the_image_of_grapes() {
    // The first of them: `extraEnv` of everything.yaml comes after.
    let env = |values: &[&str]| serde_json::to_value(&container(values).env.unwrap()[..3]).unwrap();
    let field = |name, path| {
        let field = json!({"apiVersion": "v1", "fieldPath": path});
        json!({"name": name, "valueFrom": {"fieldRef": field}})
    };
    let expected = |image: &str| {
        json!([
            {"name": "GRAPE_IMAGE", "value": image},
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
        ])
    };
    assert_eq!(env(&[]), expected(concat!("grenache/grape:", env!("CARGO_PKG_VERSION"))));
    let digest = "sha256:0000000000000000000000000000000000000000000000000000000000000002";
    let image = format!("registry.example:5000/grenache/grape:9.8.6@{digest}");
    assert_eq!(env(&["--values", &helm::values("everything.yaml")]), expected(&image));
}

#[rstest]
#[case(&[], concat!("grenache/grape-operator:", env!("CARGO_PKG_VERSION")))]
#[case(&["--set=image.tag=1.2.3"], "grenache/grape-operator:1.2.3")]
#[case(&["--set=image.repository=localhost/operator,image.tag=test"], "localhost/operator:test")]
#[case(
    &["--set=image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000001"],
    "grenache/grape-operator@sha256:0000000000000000000000000000000000000000000000000000000000000001"
)]
fn the_image_is_that_of_the_release_by_default(#[case] values: &[&str], #[case] image: &str) {
    assert_eq!(container(values).image.unwrap(), image);
    let tested: Pod = Rendered::tests_of(values).one();
    assert_eq!(tested.spec.unwrap().containers[0].image.as_deref(), Some(image));
}

fn service(rendered: &Rendered, name: &str) -> Service {
    let all: Vec<Service> = rendered.all();
    all.into_iter().find(|each| each.metadata.name.as_deref() == Some(name)).unwrap()
}

#[test]
fn kubelets_ask_the_admin_port_and_so_does_the_service() {
    let rendered = Rendered::of(&["--values", &helm::values("monitored.yaml")]);
    let container = container(&[]);
    let probe = |probe: Option<k8s_openapi::api::core::v1::Probe>| probe.unwrap().http_get.unwrap();
    let live = probe(container.liveness_probe);
    let ready = probe(container.readiness_probe);
    assert_eq!(live.path.as_deref(), Some("/healthz"));
    assert_eq!(ready.path.as_deref(), Some("/readyz"));
    let admin = IntOrString::String("admin".to_owned());
    assert_eq!([&live.port, &ready.port], [&admin, &admin]);
    let ports = container.ports.unwrap();
    let ports: Vec<_> =
        ports.iter().map(|port| (port.name.as_deref().unwrap(), port.container_port)).collect();
    assert_eq!(ports, [("admin", 9090), ("webhook", 9443)]);

    let webhook = IntOrString::String("webhook".to_owned());
    for (name, port, target) in
        [("grape-operator", 9090, &admin), ("grape-operator-webhook", 443, &webhook)]
    {
        let service = service(&rendered, name).spec.unwrap().ports.unwrap();
        assert_eq!((service[0].port, service[0].target_port.as_ref()), (port, Some(target)));
    }
    let policy = rendered.one::<NetworkPolicy>().spec.unwrap();
    assert_eq!(policy.policy_types, Some(vec!["Ingress".to_owned()]));
    let ingress = policy.ingress.unwrap();
    let open = ingress.iter().flat_map(|rule| rule.ports.as_ref().unwrap());
    let open: Vec<_> = open.map(|each| each.port.as_ref().unwrap()).collect();
    assert_eq!(open, [&admin, &webhook]);
    let monitor = &rendered.one_of_kind("ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!(monitor["port"], "admin");
    assert_eq!(monitor["honorLabels"], true, "else grape_cluster_…'s namespace is overwritten");
}

#[test]
fn all_that_selects_pods_selects_the_operators_and_no_others() {
    let arguments = ["--values", &helm::values("monitored.yaml")];
    let rendered = Rendered::of(&arguments);
    let deployment = rendered.one::<Deployment>().spec.unwrap();
    let labels = deployment.template.metadata.unwrap().labels.unwrap();
    // The NetworkPolicies of GrapeClusters let in who has it.
    assert_eq!(labels["app.kubernetes.io/name"], "grape-operator");
    let selector = deployment.selector.match_labels.unwrap();
    let budget = rendered.one::<PodDisruptionBudget>().spec.unwrap().selector.unwrap();
    let policy = rendered.one::<NetworkPolicy>().spec.unwrap().pod_selector.unwrap();
    let service = service(&rendered, "grape-operator");
    let webhook = self::service(&rendered, "grape-operator-webhook");
    let monitor = &rendered.one_of_kind("ServiceMonitor")["spec"]["selector"]["matchLabels"];
    let monitor = serde_yaml::from_value(monitor.clone()).unwrap();
    let all = [
        budget.match_labels.unwrap(),
        policy.match_labels.unwrap(),
        service.spec.unwrap().selector.unwrap(),
        webhook.spec.unwrap().selector.unwrap(),
    ];
    for each in &all {
        assert_eq!(each, &selector);
    }
    let selects = |labels: &std::collections::BTreeMap<String, String>, by: &_| {
        let by: &std::collections::BTreeMap<String, String> = by;
        by.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    assert!(selects(&labels, &selector));
    assert!(selects(&service.metadata.labels.unwrap(), &monitor));
    assert!(!selects(&webhook.metadata.labels.unwrap(), &monitor), "it has no metrics");
    let tested: Pod = Rendered::tests_of(&arguments).one();
    assert!(!selects(&tested.metadata.labels.unwrap(), &selector));
}

#[test]
fn two_pods_on_two_nodes_as_far_as_there_are_two() {
    let deployment = Rendered::of(&[]).one::<Deployment>().spec.unwrap();
    assert_eq!(deployment.replicas, Some(2));
    let rolling = deployment.strategy.unwrap().rolling_update.unwrap();
    assert_eq!(rolling.max_unavailable, Some(IntOrString::Int(1)));
    let alone = Rendered::of(&["--set=replicas=1"]).one::<Deployment>().spec.unwrap();
    let rolling = alone.strategy.unwrap().rolling_update.unwrap();
    assert_eq!(rolling.max_unavailable, Some(IntOrString::Int(0)), "pods are made meanwhile");
    let spread = pod(&[]).topology_spread_constraints.unwrap();
    let keys: Vec<_> = spread.iter().map(|each| each.topology_key.as_str()).collect();
    assert_eq!(keys, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
    for each in spread {
        assert_eq!(each.when_unsatisfiable, "ScheduleAnyway");
        let selected = each.label_selector.unwrap().match_labels;
        assert_eq!(selected, deployment.selector.match_labels);
    }
}

#[test]
fn values_for_pods_reach_the_pods() {
    let rendered = Rendered::of(&["--values", &helm::values("everything.yaml")]);
    let template = rendered.one::<Deployment>().spec.unwrap().template;
    let metadata = template.metadata.unwrap();
    assert_eq!(metadata.labels.unwrap()["team"], "platform");
    assert_eq!(metadata.annotations.unwrap()["example.com/owner"], "The platform's team");
    let pod = serde_json::to_value(template.spec.unwrap()).unwrap();
    let values: Value =
        serde_yaml::from_str(&std::fs::read_to_string(helm::values("everything.yaml")).unwrap())
            .unwrap();
    for field in [
        "affinity",
        "nodeSelector",
        "priorityClassName",
        "terminationGracePeriodSeconds",
        "tolerations",
        "topologySpreadConstraints",
    ] {
        assert_eq!(pod[field], values[field], "{field}");
    }
    // Each once, and those that several charts share last.
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "registry"}, {"name": "mirror"}]));
    let container = &pod["containers"][0];
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["env"][3], values["extraEnv"][0]);
    assert_eq!(container["volumeMounts"][1], values["extraVolumeMounts"][0]);
    assert_eq!(pod["volumes"][1], values["extraVolumes"][0]);
    // Over what `restricted` asks for, which `every_pod_is_restricted` shows to be still there.
    assert_eq!(pod["securityContext"]["fsGroup"], 2000);
    assert_eq!(container["securityContext"]["runAsGroup"], 2000);
    assert_eq!(container["ports"][0]["containerPort"], 9091);
    assert_eq!(pod["containers"][0]["resources"]["limits"]["memory"], "2Gi");
    assert_eq!(pod["serviceAccountName"], "account");
    assert_eq!(pod["automountServiceAccountToken"], true);
}
