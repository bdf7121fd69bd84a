//! The Grapes in pods of services: which pods should have one, which lack it, and the state of the
//! others.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`watch`] | pods, watched | I/O |
//! | [`pod`] | the part of a pod that is kept | pure |
//! | [`index`] | the pods of each cluster, and which watches it needs | pure |
//! | [`member`] | whether a pod should have a Grape | pure |
//! | [`reach`], [`lack`] | which pods the webhook gets, and so why a pod has no Grape | pure |
//! | [`counts`] | how many pods there are, and which lack their Grape | pure |
//! | [`repair`] | which pod is evicted next | pure |
//! | [`evict`] | tries one pod, and evicts it | I/O |

pub mod counts;
pub mod evict;
pub mod index;
pub mod lack;
pub mod member;
pub mod pod;
pub mod reach;
pub mod repair;
pub mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, Stream, StreamExt};
use grape_cluster::validate::ValidatedCluster;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Client, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::informers::informer::Informer;
use crate::informers::stored::Stored;
use index::{Effects, PodIndex, Source, WatchEvent};
use member::{Member, Of};
use reach::Reach;
use watch::NamespaceEvent;

/// The pods of all clusters. Cheap to clone: clones share them.
#[derive(Clone)]
pub struct Sidecars(Arc<Inner>);

struct Inner {
    namespaces: Vec<String>,
    /// The name of the webhook's configuration, if this operator serves one.
    webhook: Option<String>,
    index: Mutex<PodIndex>,
    /// Cancelled when all first lists have ended.
    known: CancellationToken,
    listeners: Mutex<Vec<Listener>>,
}

/// A reader of which clusters' pods have changed, in one namespace or in all.
struct Listener {
    namespace: Option<String>,
    send: mpsc::UnboundedSender<ObjectRef<Stored>>,
}

impl Sidecars {
    /// The pods of these namespaces, or of all if there are none. `webhook` is the name of the
    /// MutatingWebhookConfiguration of the webhook that this operator serves, if it does. Nothing
    /// is known before [`Self::watch`].
    pub fn new(namespaces: &[String], webhook: Option<String>) -> Self {
        let sources = match namespaces {
            [] => vec![Source::Labelled(None)],
            _ => namespaces.iter().map(|it| Source::Labelled(Some(it.clone()))).collect(),
        };
        let reach = if webhook.is_some() { Reach::Unknown } else { Reach::Unserved };
        Self(Arc::new(Inner {
            namespaces: namespaces.to_vec(),
            index: Mutex::new(PodIndex::new(sources, reach)),
            webhook,
            known: CancellationToken::new(),
            listeners: Mutex::default(),
        }))
    }

    /// Watches the pods until the future is dropped. `all` has the labels of all namespaces.
    pub async fn watch(&self, client: &Client, all: &Informer<PartialObjectMeta<Namespace>>) {
        let sources = self.index().sources().cloned().collect();
        let Inner { namespaces, webhook, .. } = &*self.0;
        let own = namespaces.clone();
        let is_own = move |event: &NamespaceEvent| match event {
            Event::Init | Event::InitDone => true,
            Event::InitApply(object) | Event::Apply(object) | Event::Delete(object) => {
                own.is_empty() || own.contains(&object.name_any())
            }
        };
        let labels = all.subscribe().filter(move |event| std::future::ready(is_own(event)));
        let webhook = webhook.as_deref();
        watch::watch(client, labels, webhook, sources, |event| self.note(event)).await;
    }

    /// Completes when all first lists have ended.
    pub async fn known(&self) {
        self.0.known.cancelled().await;
    }

    /// The clusters of a namespace, or of all, whose pods change.
    pub fn changes(
        &self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = ObjectRef<Stored>> + use<> {
        let (send, changed) = mpsc::unbounded_channel();
        self.listeners().push(Listener { namespace: namespace.map(str::to_owned), send });
        stream::unfold(changed, |mut changed| async move { Some((changed.recv().await?, changed)) })
    }

    /// The pods that should have a Grape of a cluster in this namespace, created at this time;
    /// terminating pods are among them. None before all first lists have ended. See [`Member::of`].
    pub fn of(
        &self,
        namespace: &str,
        (cluster, made): (&Arc<ValidatedCluster>, Option<Timestamp>),
        grape_image: &str,
    ) -> Option<Vec<Member>> {
        let (pods, reach) = {
            let index = self.index();
            (index.pods_of(namespace, &cluster.name)?, index.reach())
        };
        let of = Of { namespace, cluster, made, grape_image, reach: &reach };
        let member = |(pod, labels): (_, Arc<_>)| Member::of(pod, &labels, &of);
        Some(pods.into_iter().filter_map(member).collect())
    }

    fn note(&self, event: WatchEvent) -> Effects {
        let effects = {
            let mut index = self.index();
            let effects = index.note(event);
            if index.is_whole() {
                self.0.known.cancel();
            }
            effects
        };
        let mut listeners = self.listeners();
        for (namespace, name) in &effects.touched {
            let cluster = ObjectRef::new(name).within(namespace);
            listeners.retain(|listener| {
                let meant = listener.namespace.as_ref().is_none_or(|own| own == namespace);
                !meant || listener.send.send(cluster.clone()).is_ok()
            });
        }
        effects
    }

    fn index(&self) -> MutexGuard<'_, PodIndex> {
        // No work on it leaves it half done.
        self.0.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
