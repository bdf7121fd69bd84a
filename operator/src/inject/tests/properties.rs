//! What is so of every pod.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Map;

use super::*;

const URL: &str = "http://127.0.0.1:30001";

/// A member, or none, or null.
fn member(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![3 => value.prop_map(Some), 2 => Just(None), 1 => Just(Some(Value::Null))].boxed()
}

fn object(members: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let there = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}

prop_compose! {
    /// An environment, perhaps with the address of a Grape, and with a field that no type here has.
    fn env()(
        names in prop::collection::vec(select(vec!["A", "B", "GRAPE_URL"]), 0..3),
        future in 0..9,
    ) -> Value {
        let variable = |name| json!({"name": name, "value": "own", "fileKeyRefNext": future});
        names.into_iter().map(variable).collect()
    }
}

prop_compose! {
    fn lifecycle()(
        start in member(Just(json!({"exec": {"command": ["warm-up"]}}))),
        stop in member(Just(json!({"exec": {"command": ["finish"]}}))),
    ) -> Value {
        object([("postStart", start), ("preStop", stop)])
    }
}

prop_compose! {
    /// A container that is not called as a Grape.
    fn container()(
        name in "[a-f]{3}",
        restart in member(Just(json!("Always"))),
        env in member(env()),
        lifecycle in member(lifecycle()),
        ports in member(select(vec![json!([]), json!([{"containerPort": 80}])])),
        probe in member(select(vec![
            json!({"httpGet": {"port": 80}}), json!({"tcpSocket": {"port": "web"}}),
        ])),
        future in 0..9,
    ) -> Value {
        object([
            ("name", Some(json!(name))),
            ("restartPolicy", restart),
            ("env", env),
            ("lifecycle", lifecycle),
            ("ports", ports),
            ("readinessProbe", probe),
            ("restartPolicyNext", Some(json!(future))),
        ])
    }
}

prop_compose! {
    /// A pod that is to have a Grape, of its own wish or of its namespace's.
    fn pods()(
        inherited in any::<bool>(),
        labels in member(Just(json!({"app": "a"}))),
        annotations in member(select(vec![
            json!({}),
            json!({"grenache.dev/announce": "rpc:1"}),
            json!({"grenache.dev/drain": "0s"}),
            json!({"grenache.dev/drain": "7s", "a/b~c": "d"}),
        ])),
        init in member(prop::collection::vec(container(), 0..3).prop_map(Value::from)),
        containers in prop::collection::vec(container(), 1..4),
        policy in member(select(vec![json!("Always"), json!("Never"), json!("OnFailure")])),
        grace in member((0_i64..99).prop_map(Value::from)),
        secrets in member(Just(json!([{"name": "a"}]))),
        future in 0..9,
    ) -> Value {
        let namespace = if inherited { "inheriting" } else { "trading" };
        let mut labels = labels;
        if !inherited {
            let mut own = labels.filter(|labels| !labels.is_null()).unwrap_or(json!({}));
            own["grenache.dev/cluster"] = json!("market");
            labels = Some(own);
        }
        let metadata = object([
            ("namespace", Some(json!(namespace))), ("labels", labels), ("annotations", annotations),
        ]);
        let spec = object([
            ("initContainers", init),
            ("containers", Some(json!(containers))),
            ("restartPolicy", policy),
            ("terminationGracePeriodSeconds", grace),
            ("imagePullSecrets", secrets),
            ("workloadNext", Some(json!(future))),
        ]);
        json!({"metadata": metadata, "spec": spec})
    }
}

/// The verdict on a pod where `market` is for all.
fn verdict(pod: &Value) -> Verdict {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let namespace = pod.metadata.namespace.clone().unwrap();
    let labels = match namespace.as_str() {
        "inheriting" => json!({"grenache.dev/cluster": "trading.market"}),
        _ => json!({}),
    };
    let clusters = |namespace: &str, name: &str| {
        let mut cluster = (*clusters(namespace, name)?).clone();
        cluster.injection.namespaces = grape_cluster::validate::From::All;
        Some(Arc::new(cluster))
    };
    inject(
        &pod,
        &Context {
            namespace: &namespace,
            namespace_labels: &serde_json::from_value(labels).unwrap(),
            clusters: &clusters,
            all: &Vec::new,
            grape_image: "grenache/grape:0.1.0",
        },
    )
}

fn injected(pod: &Value, wanted: Reason) -> Value {
    let Verdict::Inject { patch, reason, .. } = verdict(pod) else {
        panic!("{:?} on {pod}", verdict(pod));
    };
    assert_eq!(reason, wanted);
    let mut pod = pod.clone();
    json_patch::patch(&mut pod, &patch).unwrap();
    pod
}

fn containers(pod: &mut Value) -> impl Iterator<Item = &mut Value> {
    let spec = pod["spec"].as_object_mut().unwrap();
    let lists = spec.iter_mut().filter(|(key, _)| *key == "containers" || *key == "initContainers");
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}

/// A pod without what an injection adds, recognised by its shape.
fn without(mut pod: Value) -> Value {
    let inherited = pod["metadata"]["namespace"] == "inheriting";
    let labels = pod["metadata"]["labels"].as_object_mut().unwrap();
    assert_eq!(labels.remove("grenache.dev/grape").unwrap(), "injected");
    if inherited {
        assert_eq!(labels.remove("grenache.dev/cluster").unwrap(), "trading.market");
    }
    let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("grenache.dev/injected-by").unwrap();
    annotations.remove("grenache.dev/injected-image").unwrap();
    let grape = pod["spec"]["initContainers"].as_array_mut().unwrap().remove(0);
    assert_eq!(grape["name"], "grape");
    let mut slept = 0;
    for container in containers(&mut pod) {
        let env = container["env"].as_array_mut().unwrap();
        env.retain(|variable| variable["value"] != URL);
        let seconds = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64();
        if let Some(seconds) = seconds {
            container["lifecycle"].as_object_mut().unwrap().remove("preStop");
            slept = seconds;
        }
    }
    let grace = &mut pod["spec"]["terminationGracePeriodSeconds"];
    *grace = json!(grace.as_i64().unwrap_or(30) - slept);
    bare(pod)
}

/// A pod without what is empty, and with its default of grace.
fn bare(mut pod: Value) -> Value {
    let grace = &mut pod["spec"]["terminationGracePeriodSeconds"];
    *grace = json!(grace.as_i64().unwrap_or(30));
    fn prune(value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Array(items) => {
                let items: Vec<_> = items.into_iter().filter_map(prune).collect();
                (!items.is_empty()).then_some(Value::Array(items))
            }
            Value::Object(members) => {
                let members = members.into_iter();
                let members: Map<_, _> =
                    members.filter_map(|(key, value)| Some((key, prune(value)?))).collect();
                (!members.is_empty()).then_some(Value::Object(members))
            }
            other => Some(other),
        }
    }
    prune(pod).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_else_of_a_pod_changes(pod in pods()) {
        prop_assert_eq!(without(injected(&pod, Reason::Injected)), bare(pod));
    }

    #[test]
    fn a_pod_has_one_grape(pod in pods()) {
        let after = injected(&pod, Reason::Injected);
        prop_assert_eq!(verdict(&after), Verdict::Unchanged { reason: Reason::AlreadyInjected });
    }

    #[test]
    fn every_container_knows_its_grape_and_waits_for_it(pod in pods()) {
        let mut after = injected(&pod, Reason::Injected);
        for container in containers(&mut after) {
            let env = container["env"].as_array().unwrap();
            let has = env.iter().any(|variable| variable["name"] == "GRAPE_URL");
            prop_assert!(has, "{}", container);
        }
        let after: Pod = serde_json::from_value(after).unwrap();
        let spec = after.spec.unwrap();
        let sleeps = spec.containers.iter().filter_map(|container| {
            container.lifecycle.as_ref()?.pre_stop.as_ref()?.sleep.as_ref()
        });
        for sleep in sleeps {
            // What the API server holds them to.
            prop_assert!(sleep.seconds > 0);
            prop_assert!(sleep.seconds <= spec.termination_grace_period_seconds.unwrap());
        }
    }

    #[test]
    fn containers_that_others_add_later_get_the_url(pod in pods(), added in container()) {
        let before = injected(&pod, Reason::Injected);
        let mut with = before.clone();
        let mut added = added;
        added.as_object_mut().unwrap().remove("env");
        with["spec"]["containers"].as_array_mut().unwrap().push(added.clone());
        with["spec"]["initContainers"].as_array_mut().unwrap().insert(0, added.clone());
        let mut after = injected(&with, Reason::Completed);
        for container in [
            after["spec"]["containers"].as_array_mut().unwrap().pop().unwrap(),
            after["spec"]["initContainers"].as_array_mut().unwrap().remove(0),
        ] {
            let mut expected = added.clone();
            expected["env"] = json!([{"name": "GRAPE_URL", "value": URL}]);
            prop_assert_eq!(container, expected);
        }
        prop_assert_eq!(after, before);
    }
}
