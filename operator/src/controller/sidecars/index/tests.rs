//! Pods and namespaces that come and go.

use serde_json::json;

use super::*;

fn pod(namespace: &str, name: &str, label: Option<&str>, inherited: &str) -> Arc<ServicePod> {
    let pod = json!({
        "metadata": {
            "namespace": namespace, "name": name,
            "labels": label.map(|label| json!({"grenache.dev/cluster": label})),
        },
        "spec": {"containers": []},
    });
    let labels = of_namespace(inherited);
    Arc::new(ServicePod::of(serde_json::from_value(pod).unwrap(), &labels).unwrap())
}

fn of_namespace(value: &str) -> Labels {
    BTreeMap::from([(labels::CLUSTER.to_owned(), value.to_owned())])
}

type Of = (String, Option<Arc<ServicePod>>);

fn own(pod: &Arc<ServicePod>, event: fn(Of) -> Event<Of>) -> WatchEvent {
    WatchEvent::Pods(Source::Labelled(None), event((pod.title(), Some(Arc::clone(pod)))))
}

fn namespace(name: &str, labels: Labels) -> WatchEvent {
    WatchEvent::Namespaces(Event::Apply((name.to_owned(), Some(Arc::new(labels)))))
}

fn inherited(namespace: &str, value: &str) -> Source {
    Source::Inherited { namespace: namespace.to_owned(), value: value.to_owned() }
}

fn touched(effects: &Effects) -> Vec<String> {
    effects.touched.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect()
}

fn names(index: &PodIndex, namespace: &str, name: &str) -> Option<Vec<String>> {
    let pods = index.pods_of(namespace, name)?;
    Some(pods.iter().map(|(pod, _)| pod.title()).collect())
}

/// One that knows that there is nothing.
fn whole() -> PodIndex {
    let mut index = PodIndex::new([Source::Labelled(None)], Reach::Unserved);
    for event in [Event::Init, Event::InitDone] {
        index.note(WatchEvent::Namespaces(event));
    }
    for event in [Event::Init, Event::InitDone] {
        index.note(WatchEvent::Pods(Source::Labelled(None), event));
    }
    index
}

#[test]
fn nothing_is_told_before_all_is_known_and_then_all() {
    let mut index = PodIndex::new([Source::Labelled(None)], Reach::Unserved);
    let a = pod("web", "a", Some("trading.market"), "");
    for event in [Event::Init, Event::InitApply((a.title(), Some(a))), Event::InitDone] {
        index.note(WatchEvent::Pods(Source::Labelled(None), event));
    }
    let labelled = ("shop".to_owned(), Some(Arc::new(of_namespace("market"))));
    let mut begun = Vec::new();
    for event in [Event::Init, Event::InitApply(labelled), Event::InitDone] {
        begun.extend(index.note(WatchEvent::Namespaces(event)).begin);
    }
    assert_eq!(begun, [inherited("shop", "market")]);
    assert_eq!(index.pods_of("trading", "market"), None, "those of that namespace are not known");
    let shop = inherited("shop", "market");
    index.note(WatchEvent::Pods(shop.clone(), Event::Init));
    let effects = index.note(WatchEvent::Pods(shop, Event::InitDone));
    assert_eq!(touched(&effects), ["trading/market"]);
    assert_eq!(names(&index, "trading", "market").unwrap(), ["web/a"]);
}

#[test]
fn a_change_touches_the_cluster_that_it_was_of_and_the_one_that_it_is_of() {
    let mut index = whole();
    let a = pod("web", "a", Some("market"), "");
    assert_eq!(touched(&index.note(own(&a, Event::Apply))), ["web/market"]);
    assert_eq!(touched(&index.note(own(&a, Event::Apply))), [""; 0], "it is as it was");
    let other = pod("web", "a", Some("trading.market"), "");
    assert_eq!(touched(&index.note(own(&other, Event::Apply))), ["trading/market", "web/market"]);
    assert_eq!(names(&index, "web", "market").unwrap(), [""; 0]);
    assert_eq!(touched(&index.note(own(&other, Event::Delete))), ["trading/market"]);
}

#[test]
fn a_namespace_is_watched_as_long_as_its_label_is_the_same() {
    let mut index = whole();
    let effects = index.note(namespace("shop", of_namespace("market")));
    assert_eq!((effects.begin, effects.end), (vec![inherited("shop", "market")], vec![]));
    let bare = pod("shop", "bare", None, "market");
    let told = Event::Apply((bare.title(), Some(bare)));
    let effects = index.note(WatchEvent::Pods(inherited("shop", "market"), told));
    assert_eq!(touched(&effects), ["shop/market"]);

    let mut more = of_namespace("market");
    more.insert("team".to_owned(), "a".to_owned());
    let effects = index.note(namespace("shop", more.clone()));
    assert_eq!((effects.begin.len(), effects.end.len()), (0, 0));
    assert_eq!(touched(&effects), ["shop/market"], "a selector may find it now");
    let (_, labels) = index.pods_of("shop", "market").unwrap().remove(0);
    assert_eq!(*labels, more);

    let effects = index.note(namespace("shop", of_namespace("trading.other")));
    assert_eq!(effects.begin, [inherited("shop", "trading.other")]);
    assert_eq!(effects.end, [inherited("shop", "market")]);
    assert_eq!(touched(&effects), ["shop/market"]);
    assert_eq!(names(&index, "shop", "market").unwrap(), [""; 0]);

    // What the former watch tells yet is of none.
    let late = pod("shop", "late", None, "market");
    let told = Event::Apply((late.title(), Some(late)));
    assert_eq!(index.note(WatchEvent::Pods(inherited("shop", "market"), told)), Effects::default());
    let effects = index.note(WatchEvent::Namespaces(Event::Delete(("shop".to_owned(), None))));
    assert_eq!((effects.begin, effects.end), (vec![], vec![inherited("shop", "trading.other")]));
}
