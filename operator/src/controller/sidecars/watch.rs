//! The watches of pods of services, and of namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watch_object, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, warn};

use super::index::{Effects, Labels, Source, WatchEvent};
use super::pod::ServicePod;
use super::reach::Reach;
use crate::api_client::is_refusal;
use crate::controller::diff_store::map;
use crate::controller::stores;
use crate::desired::labels;
use crate::inject::selection;

/// How often the labels of a namespace are read that may not be watched: of one namespace alone no
/// right to do so can be given.
const READ: Duration = Duration::from_secs(30);

/// Watches until it is dropped; `note` is told of everything, and says what else to watch. `webhook`
/// is the name of the webhook's configuration, if there is to be one.
pub(super) async fn watch(
    client: &Client,
    namespaces: &[String],
    webhook: Option<&str>,
    sources: Vec<Source>,
    mut note: impl FnMut(WatchEvent) -> Effects,
) {
    let mut all = SelectAll::new();
    // What tells one to end, when it is dropped.
    let mut ends: BTreeMap<Source, DropGuard> = BTreeMap::new();
    all.push(match namespaces {
        [] => watched(client),
        _ => read(client.clone(), namespaces.to_vec()),
    });
    all.extend(webhook.map(|name| configuration(client, name)));
    all.extend(sources.into_iter().map(|source| pods(client, source)));
    while let Some(told) = all.next().await {
        let Effects { begin, end, .. } = note(told);
        for source in end {
            debug!(?source, "no more watched");
            ends.remove(&source);
        }
        for source in begin {
            debug!(?source, "watching");
            let end = CancellationToken::new();
            all.push(
                pods(client, source.clone()).take_until(end.clone().cancelled_owned()).boxed(),
            );
            ends.insert(source, end.drop_guard());
        }
    }
}

/// Of all namespaces, for a cluster may take pods by any label of theirs. Their metadata alone is
/// sent, and is little.
fn watched(client: &Client) -> BoxStream<'static, WatchEvent> {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let events = watcher(api, watcher::Config::default()).default_backoff();
    let told = |event| WatchEvent::Namespaces(map(event, labelled));
    events.filter_map(move |event| std::future::ready(well(event, "namespaces").map(told))).boxed()
}

/// A namespace's name and labels.
fn labelled(namespace: PartialObjectMeta<Namespace>) -> (String, Option<Arc<Labels>>) {
    let labels = namespace.metadata.labels.unwrap_or_default();
    (namespace.metadata.name.unwrap_or_default(), Some(Arc::new(labels)))
}

fn read(client: Client, names: Vec<String>) -> BoxStream<'static, WatchEvent> {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client);
    let lists = stream::unfold(Duration::ZERO, move |pause| {
        let (api, names) = (api.clone(), names.clone());
        async move {
            sleep(pause).await;
            let all = names.iter().map(|name| api.get_opt(name));
            // One that cannot be read, for it is gone or its Role is, hides none of the others.
            let found = join_all(all).await.into_iter().filter_map(|found| {
                found
                    .inspect_err(|error| warn!(%error, "cannot read a namespace; trying again"))
                    .ok()?
            });
            let known = found.map(|it| Event::InitApply(labelled(it)));
            let list = [Event::Init].into_iter().chain(known).chain([Event::InitDone]);
            let list: Vec<_> = list.map(WatchEvent::Namespaces).collect();
            Some((stream::iter(list), READ))
        }
    });
    lists.flatten().boxed()
}

fn configuration(client: &Client, name: &str) -> BoxStream<'static, WatchEvent> {
    let api: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let found = watch_object(api, name).default_backoff();
    let told = found.map(|found| match found {
        Ok(configuration) => Reach::of(configuration.as_ref()),
        Err(error) => {
            warn!(%error, "cannot watch the configuration of the webhook; trying again");
            Reach::Unknown
        }
    });
    told.map(WatchEvent::Webhook).boxed()
}

fn pods(client: &Client, source: Source) -> BoxStream<'static, WatchEvent> {
    let [cluster, inject] = [labels::CLUSTER, selection::INJECT];
    let (namespace, of_namespace, selector) = match &source {
        Source::Labelled(namespace) => (namespace.as_deref(), Labels::new(), cluster.to_owned()),
        Source::Inherited { namespace, value } => {
            let labels = BTreeMap::from([(cluster.to_owned(), value.clone())]);
            let made = format!("{}!={}", labels::MANAGED_BY, labels::OPERATOR);
            (Some(&**namespace), labels, format!("!{cluster},{made}"))
        }
    };
    let config = watcher::Config::default()
        .labels(&format!("{selector},{inject}!={}", selection::DISABLED))
        // Those that have ended need none.
        .fields("status.phase!=Succeeded,status.phase!=Failed");
    let events = watcher(stores::api::<Pod>(client, namespace), config).default_backoff();
    let refused = source.clone();
    let told = move |event| {
        let kept = |pod: Pod| {
            let key = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
            (key, ServicePod::of(pod, &of_namespace).map(Arc::new))
        };
        WatchEvent::Pods(source.clone(), map(event, kept))
    };
    let told = move |event: watcher::Result<_>| match event {
        Err(error) if is_refusal(&error) => Some(WatchEvent::Refused(refused.clone())),
        event => well(event, "pods").map(&told),
    };
    events.filter_map(move |event| std::future::ready(told(event))).boxed()
}

fn well<T>(event: watcher::Result<Event<T>>, what: &str) -> Option<Event<T>> {
    event.inspect_err(|error| warn!(%error, "cannot watch {what} of services; trying again")).ok()
}
