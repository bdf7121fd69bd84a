//! The Grapes in pods of services: which pods are to have one, which lack it, and how those are that
//! are there.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`watch`] | pods and namespaces, watched | I/O |
//! | [`pod`] | what is kept of a pod | pure |
//! | [`index`] | the pods of each cluster, and which watches that takes | pure |
//! | [`member`] | whether a pod should have a Grape | pure |
//! | [`reach`], [`lack`] | which pods the webhook is asked about, and so why one has no Grape | pure |
//! | [`counts`] | how many there are, and who lacks its Grape | pure |
//! | [`repair`] | who is evicted next | pure |
//! | [`evict`] | one pod tried, and evicted | I/O |

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

use futures_util::stream::{self, Stream};
use grape_cluster::validate::ValidatedCluster;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::stores::Stored;
use index::{Effects, PodIndex, Source, WatchEvent};
use member::{Member, Of};
use reach::Reach;

/// The pods of all clusters. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Sidecars(Arc<Inner>);

struct Inner {
    namespaces: Vec<String>,
    /// The name of the webhook's configuration, if this operator serves one.
    webhook: Option<String>,
    index: Mutex<PodIndex>,
    /// Cancelled when all are known that were there at the beginning.
    known: CancellationToken,
    listeners: Mutex<Vec<Listener>>,
}

/// Who is told of clusters whose pods have changed, in one namespace or in all.
struct Listener {
    namespace: Option<String>,
    tell: mpsc::UnboundedSender<ObjectRef<Stored>>,
}

impl Sidecars {
    /// Those of these namespaces; of all, without any. `webhook` is the name of the
    /// MutatingWebhookConfiguration of the webhook that this operator serves, if it does. Nothing is
    /// known before it is watched.
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

    /// Watches them, until it is dropped.
    pub async fn watch(&self, client: &Client) {
        let sources = self.index().sources().cloned().collect();
        let Inner { namespaces, webhook, .. } = &*self.0;
        let webhook = webhook.as_deref();
        watch::watch(client, namespaces, webhook, sources, |told| self.note(told)).await;
    }

    /// Completes when all are known that were there at the beginning.
    pub async fn known(&self) {
        self.0.known.cancelled().await;
    }

    /// The clusters of a namespace, or of all, whose pods have changed.
    pub fn changes(
        &self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = ObjectRef<Stored>> + use<> {
        let (tell, told) = mpsc::unbounded_channel();
        self.listeners().push(Listener { namespace: namespace.map(str::to_owned), tell });
        stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) })
    }

    /// The pods that are to have a Grape of a cluster in this namespace, which was made then, those on
    /// their way out among them; none before all of them are known. See [`Member::of`].
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

    fn note(&self, told: WatchEvent) -> Effects {
        let effects = {
            let mut index = self.index();
            let effects = index.note(told);
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
                !meant || listener.tell.send(cluster.clone()).is_ok()
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
