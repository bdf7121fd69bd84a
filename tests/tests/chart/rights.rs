//! Which account has which rights.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::ResourceExt;

use crate::helm::{self, Rendered};

const READ: &[&str] = &["get", "list", "watch"];
const OWN: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// All that the operator may do where GrapeClusters are.
const OPERATOR: &[(&str, &str, &[&str])] = &[
    ("grenache.dev", "grapeclusters", READ),
    ("grenache.dev", "grapeclusters/status", &["get", "patch"]),
    ("grenache.dev", "grapeclusters/finalizers", &["update"]),
    ("apps", "statefulsets", OWN),
    // To find the Deployment of a ReplicaSet: events are published there.
    ("apps", "replicasets", &["get"]),
    ("", "services", OWN),
    ("", "serviceaccounts", OWN),
    ("policy", "poddisruptionbudgets", OWN),
    ("networking.k8s.io", "networkpolicies", OWN),
    ("monitoring.coreos.com", "servicemonitors", OWN),
    ("", "pods", &["get", "list", "watch", "create", "delete"]),
    ("", "pods/eviction", &["create"]),
    ("", "namespaces", READ),
    ("", "events", &["list"]),
    ("events.k8s.io", "events", &["create", "patch"]),
];

/// All that it may do in its own namespace beside that.
const LEASES: &[(&str, &str, &[&str])] =
    &[("coordination.k8s.io", "leases", &["get", "list", "watch", "create", "update", "patch"])];

/// All that the webhook takes for the whole cluster, its own configuration by its name.
const WEBHOOK: &[(&str, &str, &[&str])] = &[
    ("", "namespaces", READ),
    (
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        &["get", "list", "watch", "patch"],
    ),
];

/// All that it takes to notice other operators.
const OTHERS: &[(&str, &str, &[&str])] = &[
    ("coordination.k8s.io", "leases", &["list", "watch"]),
    ("authorization.k8s.io", "subjectaccessreviews", &["create"]),
];

/// All that it takes in the operator's namespace, by its name.
const CERTIFICATE: &[(&str, &str, &[&str])] =
    &[("", "secrets", &["get", "list", "watch", "update"])];

type Right = (String, String, String);

fn rights(rules: Option<Vec<PolicyRule>>) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in rules.unwrap() {
        assert_eq!(rule.non_resource_urls, None);
        for group in rule.api_groups.as_ref().unwrap() {
            for resource in rule.resources.as_ref().unwrap() {
                for verb in &rule.verbs {
                    assert!([group, resource, verb].iter().all(|part| part.as_str() != "*"));
                    rights.insert((group.clone(), resource.clone(), verb.clone()));
                }
            }
        }
    }
    rights
}

fn expected(table: &[(&str, &str, &[&str])]) -> BTreeSet<Right> {
    let each = table.iter().flat_map(|(group, resource, verbs)| {
        verbs.iter().map(|&verb| ((*group).to_owned(), (*resource).to_owned(), verb.to_owned()))
    });
    each.collect()
}

fn assert_binds(role: &RoleRef, kind: &str, name: &str, subjects: Option<Vec<Subject>>) {
    assert_eq!((role.kind.as_str(), role.name.as_str()), (kind, name));
    let subjects = subjects.unwrap();
    assert_eq!(subjects.len(), 1);
    assert_eq!(subjects[0].kind, "ServiceAccount");
    assert_eq!(subjects[0].name, "grape-operator");
    assert_eq!(subjects[0].namespace.as_deref(), Some("ops"));
}

fn named<K: ResourceExt>(all: Vec<K>, name: &str) -> K {
    all.into_iter().find(|each| each.name_any() == name).unwrap()
}

#[test]
fn cluster_wide_it_has_only_the_rights_that_it_uses() {
    let rendered = Rendered::of(&["--set=userRoles.enabled=false,webhook.enabled=false"]);
    let roles: Vec<ClusterRole> = rendered.all();
    assert_eq!(roles.len(), 2);
    for (name, table) in [("grape-operator", OPERATOR), ("grape-operator-others.ops", OTHERS)] {
        let role: ClusterRole = named(rendered.all(), name);
        assert_eq!(rights(role.rules), expected(table));
        let binding: ClusterRoleBinding = named(rendered.all(), name);
        assert_binds(&binding.role_ref, "ClusterRole", name, binding.subjects);
    }
    let leases: Role = rendered.one();
    assert_eq!(leases.metadata.namespace.as_deref(), Some("ops"));
    assert_eq!(rights(leases.rules), expected(LEASES));
    let binding: RoleBinding = rendered.one();
    assert_eq!(binding.metadata.namespace.as_deref(), Some("ops"));
    assert_binds(&binding.role_ref, "Role", "grape-operator-leases", binding.subjects);
}

#[test]
fn the_webhook_adds_the_rights_to_its_own_objects() {
    let rendered = Rendered::of(&["--set=userRoles.enabled=false"]);
    let name = "grape-operator-webhook.ops";
    let role: ClusterRole = named(rendered.all(), name);
    let names: Vec<_> = role.rules.iter().flatten().map(|it| it.resource_names.clone()).collect();
    assert_eq!(names, [None, Some(vec![name.to_owned()])]);
    assert_eq!(rights(role.rules), expected(WEBHOOK));
    let binding: ClusterRoleBinding = named(rendered.all(), name);
    assert_binds(&binding.role_ref, "ClusterRole", name, binding.subjects);
    let role: Role = named(rendered.all(), "grape-operator-webhook");
    assert_eq!(role.metadata.namespace.as_deref(), Some("ops"));
    let names: Vec<_> = role.rules.iter().flatten().map(|it| it.resource_names.clone()).collect();
    assert_eq!(names, [Some(vec!["grape-operator-webhook-tls".to_owned()])]);
    assert_eq!(rights(role.rules), expected(CERTIFICATE));
    let binding: RoleBinding = named(rendered.all(), "grape-operator-webhook");
    assert_eq!(binding.metadata.namespace.as_deref(), Some("ops"));
    assert_binds(&binding.role_ref, "Role", "grape-operator-webhook", binding.subjects);
}

#[test]
fn where_somebody_else_keeps_the_certificate_no_secret_is_read() {
    let certificate = "--set=userRoles.enabled=false,webhook.certificates.secret=certificate";
    let rendered = Rendered::of(&[certificate]);
    let role: ClusterRole = named(rendered.all(), "grape-operator-webhook.ops");
    let own = role.rules.as_ref().unwrap()[1].resource_names.clone();
    assert_eq!(own, Some(vec!["grape-operator-webhook.ops".to_owned()]));
    assert_eq!(rights(role.rules), expected(WEBHOOK));
    let roles: Vec<Role> = rendered.all();
    assert_eq!(
        roles.iter().map(ResourceExt::name_any).collect::<Vec<_>>(),
        ["grape-operator-leases"]
    );
}

#[test]
fn with_namespaces_it_has_no_right_outside_of_them() {
    let rendered = Rendered::of(&["--values", &helm::values("namespaced.yaml")]);
    for object in rendered.objects() {
        assert!(object["metadata"].get("namespace").is_some(), "{object:?} is of the cluster");
    }
    let roles: Vec<Role> = rendered.all();
    let mut places: Vec<_> = roles.iter().map(|role| role.namespace().unwrap()).collect();
    places.sort();
    assert_eq!(places, ["market", "ops", "trade"]);
    for role in roles {
        let table = if role.namespace().as_deref() == Some("ops") { LEASES } else { OPERATOR };
        assert_eq!(rights(role.rules), expected(table));
    }
    let bindings: Vec<RoleBinding> = rendered.all();
    let mut places: Vec<_> = bindings.iter().map(|each| each.namespace().unwrap()).collect();
    places.sort();
    assert_eq!(places, ["market", "ops", "trade"]);
    for binding in bindings {
        let own = binding.namespace().as_deref() == Some("ops");
        let role = if own { "grape-operator-leases" } else { "grape-operator" };
        assert_binds(&binding.role_ref, "Role", role, binding.subjects);
    }
}

#[test]
fn users_get_clusters_as_part_of_view_edit_and_admin() {
    let rendered = Rendered::of(&["--set=watchNamespaces={market}"]);
    let roles: Vec<ClusterRole> = rendered.all();
    assert!(rendered.all::<ClusterRoleBinding>().is_empty(), "nobody is bound to them");
    let role = |name: &str| {
        let role = roles.iter().find(|role| role.name_any() == name).unwrap().clone();
        let labels = role.metadata.labels.unwrap();
        let to = |whom: &str| {
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{whom}");
            labels.get(&label).is_some_and(|value| value == "true")
        };
        ([to("view"), to("edit"), to("admin")], rights(role.rules))
    };
    assert_eq!(roles.len(), 2);
    let read: &[_] =
        &[("grenache.dev", "grapeclusters", READ), ("grenache.dev", "grapeclusters/status", READ)];
    assert_eq!(role("grape-operator-view"), ([true; 3], expected(read)));
    let write: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];
    let write: &[_] = &[
        ("grenache.dev", "grapeclusters", write),
        ("grenache.dev", "grapeclusters/scale", &["get", "update", "patch"]),
    ];
    assert_eq!(role("grape-operator-edit"), ([false, true, true], expected(write)));
}

#[test]
fn the_test_may_read_one_lease() {
    let rendered = Rendered::tests_of(&[]);
    let rules = rendered.one::<Role>().rules;
    let named = rules.as_ref().unwrap()[0].resource_names.clone();
    assert_eq!(named, Some(vec!["grape-operator".to_owned()]));
    assert_eq!(rights(rules), expected(&[("coordination.k8s.io", "leases", &["get"])]));
    for object in rendered.objects() {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "test", "{object:?}");
        // What the pod needs comes before it.
        let first = annotations.get("helm.sh/hook-weight").is_some_and(|weight| weight == "-1");
        assert_eq!(first, object["kind"] != "Pod", "{object:?}");
    }
}

#[test]
fn accounts_hand_out_no_token_unasked() {
    for rendered in [Rendered::of(&[]), Rendered::tests_of(&[])] {
        let account: ServiceAccount = rendered.one();
        assert_eq!(account.automount_service_account_token, Some(false));
    }
}
