//! Every write refused once: it is retried, logged and counted, and the result is the same.

use grape_tests::kubernetes::proxy::{Refusal, Which};
use grape_tests::kubernetes::{ApiServer, Proxy};
use http::Method;
use serde_json::{Value, json};

use super::scene::{Scene, writes};

const REFUSALS: [(&str, Refusal); 3] = [
    ("conflict", Refusal::Conflict),
    ("busy", Refusal::TooManyRequests),
    ("broken", Refusal::InternalError),
];

/// The writes for a new cluster: the kind, and where it lies.
const WRITES: [(&str, &str); 6] = [
    ("ServiceAccount NAME", "/serviceaccounts/NAME"),
    ("Service NAME", "/services/NAME"),
    ("NetworkPolicy NAME", "/networkpolicies/NAME"),
    ("StatefulSet NAME-default", "/statefulsets/NAME-default"),
    ("PodDisruptionBudget NAME", "/poddisruptionbudgets/NAME"),
    ("status of the GrapeCluster NAME", "/grapeclusters/NAME/status"),
];

/// A cluster of which one call is refused.
struct Case {
    name: String,
    thing: String,
    path: String,
    refusal: Refusal,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_may_be_refused_once() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "refused").await;
    let proxy = Proxy::start(&server).await.unwrap();
    let cases = cases();
    for Case { name, path, refusal, .. } in &cases {
        proxy.refuse(Which::writes().to(path).nth(1), *refusal);
        scene.cluster(name, json!({})).await;
    }
    // Nothing depends on one.
    proxy.refuse(Which::writes().to("/events").nth(1), Refusal::InternalError);
    scene.cluster("undisturbed", json!({})).await;
    let operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    scene.until_applied("undisturbed").await;
    let whole = scene.outcome("undisturbed").await;
    assert_eq!(whole.len(), 6, "{:?}", whole.keys());
    for Case { name, path, .. } in &cases {
        scene.until_applied(name).await;
        assert_eq!(scene.outcome(name).await, whole, "{name}");
        let tries: Vec<_> =
            writes(&proxy).into_iter().filter(|call| call.path.ends_with(path)).collect();
        // The second one is accepted. Only a status may be written again after that, when more is
        // known.
        let most = if path.ends_with("/status") { 3 } else { 2 };
        assert!((2..=most).contains(&tries.len()), "{path} was tried {} times", tries.len());
        let again = tries[1..].windows(2).find(|pair| pair[0].body == pair[1].body);
        assert!(again.is_none(), "{again:?}");
    }

    for Case { name, .. } in &cases[..REFUSALS.len()] {
        let path = format!("/poddisruptionbudgets/{name}");
        let refusal = cases.iter().find(|case| case.name == *name).unwrap().refusal;
        proxy.refuse(Which::writes().method(Method::DELETE).to(path).nth(1), refusal);
        scene.change("GrapeCluster", name, json!({"spec": {"replicas": 1}})).await;
        scene.until_gone("PodDisruptionBudget", name).await;
        scene.until_applied(name).await;
    }

    told(&operator.log(), &cases);
    let series = "grape_operator_reconcile_duration_seconds_count{result=\"error\"}";
    let failed = cases.iter().filter(|case| case.is_told()).count() + 2;
    assert_eq!(operator.metric(series).await.unwrap(), Some(failed as f64));
}

fn cases() -> Vec<Case> {
    let each = WRITES.iter().enumerate().flat_map(|(number, (thing, path))| {
        REFUSALS.map(|(word, refusal)| {
            let name = format!("{word}-{number}");
            let [thing, path] = [thing, path].map(|text| text.replace("NAME", &name));
            Case { name, thing, path, refusal }
        })
    });
    each.collect()
}

impl Case {
    /// A client of kube tries again by itself what is refused for the API server's load.
    fn is_told(&self) -> bool {
        self.refusal != Refusal::TooManyRequests
    }
}

/// Each refusal with what was refused.
fn told(log: &[Value], cases: &[Case]) {
    let warnings: Vec<_> = log.iter().filter(|line| line["level"] == "WARN").collect();
    for case in cases {
        let of_it = warnings.iter().find(|line| {
            let error = line["error"].as_str().unwrap_or_default();
            line["name"] == case.name.as_str() && error.contains(&format!("the {}:", case.thing))
        });
        assert_eq!(of_it.is_some(), case.is_told(), "{}: {warnings:#?}", case.name);
    }
    let events = warnings.iter().filter(|line| line["message"] == "cannot write an event").count();
    assert_eq!(events, 1);
}
