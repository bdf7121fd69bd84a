//! The Grapes in pods of services: which pods are to have one, which lack it, and how those are that
//! are there.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`watch`] | pods and namespaces, watched | I/O |
//! | [`pod`] | what is kept of a pod | pure |
//! | [`mirror`], [`roster`] | the pods of each cluster, and which watches that takes | pure |
//! | [`member`] | whether a pod should have a Grape | pure |
//! | [`reach`], [`lack`] | which pods the webhook is asked about, and so why one has no Grape | pure |
//! | [`tally`] | how many there are, and who lacks its Grape | pure |
//! | [`repair`] | who is evicted next | pure |
//! | [`evict`] | one pod tried, and evicted | I/O |

pub mod evict;
pub mod lack;
pub mod member;
pub mod mirror;
pub mod pod;
pub mod reach;
pub mod repair;
pub mod roster;
pub mod tally;
pub mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, Stream};
use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::stores::Stored;
use crate::validate::ValidatedCluster;
use member::{Member, Of};
use reach::Reach;
use roster::{News, Roster, Source, Told};

/// The pods of all clusters. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Sidecars(Arc<Inside>);

struct Inside {
    namespaces: Vec<String>,
    /// The name of the webhook's configuration, if this operator serves one.
    webhook: Option<String>,
    roster: Mutex<Roster>,
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
        Self(Arc::new(Inside {
            namespaces: namespaces.to_vec(),
            roster: Mutex::new(Roster::new(sources, reach)),
            webhook,
            known: CancellationToken::new(),
            listeners: Mutex::default(),
        }))
    }

    /// Watches them, until it is dropped.
    pub async fn watch(&self, client: &Client) {
        let sources = self.roster().sources().cloned().collect();
        let Inside { namespaces, webhook, .. } = &*self.0;
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
            let roster = self.roster();
            (roster.pods_of(namespace, &cluster.name)?, roster.reach())
        };
        let of = Of { namespace, cluster, made, grape_image, reach: &reach };
        let member = |(pod, labels): (_, Arc<_>)| Member::of(pod, &labels, &of);
        Some(pods.into_iter().filter_map(member).collect())
    }

    fn note(&self, told: Told) -> News {
        let news = {
            let mut roster = self.roster();
            let news = roster.note(told);
            if roster.is_whole() {
                self.0.known.cancel();
            }
            news
        };
        let mut listeners = self.listeners();
        for (namespace, name) in &news.touched {
            let cluster = ObjectRef::new(name).within(namespace);
            listeners.retain(|listener| {
                let meant = listener.namespace.as_ref().is_none_or(|own| own == namespace);
                !meant || listener.tell.send(cluster.clone()).is_ok()
            });
        }
        news
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        // No work on it leaves it half done.
        self.0.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
