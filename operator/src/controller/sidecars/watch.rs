//! The watches of pods of services, beside the events of namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{BoxStream, SelectAll, Stream, StreamExt};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watch_object, watcher};
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, warn};

use super::index::{Effects, Labels, Source, WatchEvent};
use super::pod::ServicePod;
use super::reach::Reach;
use crate::api_client::{is_refusal, scoped};
use crate::controller::diff_store::map;
use crate::desired::labels;
use crate::inject::selection;

/// An event of namespaces.
pub(super) type NamespaceEvent = Event<Arc<PartialObjectMeta<Namespace>>>;

/// Watches until it is dropped; `note` gets each event, and returns which watches begin and end.
/// `webhook` is the name of the webhook's configuration, if this operator serves one.
pub(super) async fn watch(
    client: &Client,
    namespaces: impl Stream<Item = NamespaceEvent> + Send + 'static,
    webhook: Option<&str>,
    sources: Vec<Source>,
    mut note: impl FnMut(WatchEvent) -> Effects,
) {
    let mut all = SelectAll::new();
    // Dropping a guard ends its watch.
    let mut ends: BTreeMap<Source, DropGuard> = BTreeMap::new();
    all.push(namespaces.map(|event| WatchEvent::Namespaces(map(event, labelled))).boxed());
    all.extend(webhook.map(|name| configuration(client, name)));
    all.extend(sources.into_iter().map(|source| pods(client, source)));
    while let Some(event) = all.next().await {
        let Effects { begin, end, .. } = note(event);
        for source in end {
            debug!(?source, "no longer watching");
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

/// A namespace's name and labels.
fn labelled(namespace: Arc<PartialObjectMeta<Namespace>>) -> (String, Option<Arc<Labels>>) {
    (namespace.name_any(), Some(Arc::new(namespace.labels().clone())))
}

fn configuration(client: &Client, name: &str) -> BoxStream<'static, WatchEvent> {
    let api: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let found = watch_object(api, name).default_backoff();
    let reach = found.map(|found| match found {
        Ok(configuration) => Reach::of(configuration.as_ref()),
        Err(error) => {
            warn!(%error, "cannot watch the configuration of the webhook; trying again");
            Reach::Unknown
        }
    });
    reach.map(WatchEvent::Webhook).boxed()
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
        // Pods that have ended need no Grape.
        .fields("status.phase!=Succeeded,status.phase!=Failed");
    let events = watcher(scoped::<Pod>(client, namespace), config).default_backoff();
    let refused = source.clone();
    let pods = move |event| {
        let kept = |pod: Pod| {
            let key = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
            (key, ServicePod::of(pod, &of_namespace).map(Arc::new))
        };
        WatchEvent::Pods(source.clone(), map(event, kept))
    };
    let event_of = move |event: watcher::Result<_>| match event {
        Err(error) if is_refusal(&error) => Some(WatchEvent::Refused(refused.clone())),
        event => event
            .inspect_err(|error| warn!(%error, "cannot watch pods of services; trying again"))
            .ok()
            .map(&pods),
    };
    events.filter_map(move |event| std::future::ready(event_of(event))).boxed()
}
