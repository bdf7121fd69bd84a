//! What every replica watches once for all that read it: GrapeClusters, and the labels of namespaces.
//! The controller, the index of pods and the webhook are readers.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`informer`] | one watch with many readers | |
//! | [`stored`] | a GrapeCluster as it is stored, validated | pure |
//! | [`unwatched`] | namespaces that cannot be watched | |

pub mod informer;
pub mod stored;
pub mod unwatched;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::time::sleep;
use tracing::warn;

use crate::api_client::scoped;
use crate::metrics::Metrics;
use informer::Informer;
use stored::Stored;
use unwatched::Unwatched;

/// How often the labels of a namespace are read that may not be watched: RBAC has no right to watch
/// one namespace alone.
const READ_INTERVAL: Duration = Duration::from_secs(30);

/// The informers of a replica. Clones share them.
#[derive(Clone)]
pub struct Informers {
    /// One for each watched namespace, or one for all.
    clusters: Vec<Clusters>,
    namespaces: Informer<PartialObjectMeta<Namespace>>,
}

/// The GrapeClusters of one namespace, or of all.
#[derive(Clone)]
pub struct Clusters {
    /// `None` for all.
    pub namespace: Option<String>,
    /// The GrapeClusters.
    pub informer: Informer<Stored>,
}

/// Which namespaces' labels are read, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceAccess {
    /// All are watched.
    Watch,
    /// Those whose GrapeClusters are watched are read every 30 s.
    Read,
}

impl Informers {
    /// Informers of GrapeClusters in these namespaces, or in all if there are none. They are filled
    /// while the future is polled, which does not end.
    pub fn new(
        client: &Client,
        namespaces: &[String],
        access: NamespaceAccess,
        metrics: &Arc<Metrics>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let mut filling: Vec<BoxFuture<'static, ()>> = Vec::new();
        let all = namespaces.is_empty().then_some(None);
        let each = all.into_iter().chain(namespaces.iter().cloned().map(Some));
        let clusters = each.map(|namespace| {
            let mut unwatched = Unwatched::new(namespace.as_deref(), Arc::clone(metrics));
            let api = scoped::<Stored>(client, namespace.as_deref());
            let events = watcher(api, watcher::Config::default())
                .default_backoff()
                .inspect(move |event| unwatched.note(event));
            let (informer, task) = Informer::new(events);
            filling.push(task.boxed());
            Clusters { namespace, informer }
        });
        let clusters = clusters.collect();
        let events = match access {
            NamespaceAccess::Watch => watched(client),
            NamespaceAccess::Read => read(client, namespaces.to_vec()),
        };
        let (namespaces, task) = Informer::new(events);
        filling.push(task.boxed());
        (Self { clusters, namespaces }, join_all(filling).map(drop))
    }

    /// The GrapeClusters of each watched namespace, or of all.
    pub fn clusters(&self) -> &[Clusters] {
        &self.clusters
    }

    /// The informer that has the GrapeClusters of this namespace; none where they are not watched.
    pub fn clusters_of(&self, namespace: &str) -> Option<&Informer<Stored>> {
        let is = |it: &&Clusters| it.namespace.as_ref().is_none_or(|it| it == namespace);
        self.clusters.iter().find(is).map(|it| &it.informer)
    }

    /// The namespaces, with their labels.
    pub fn namespaces(&self) -> &Informer<PartialObjectMeta<Namespace>> {
        &self.namespaces
    }

    /// Whether all are [settled](Informer::is_settled).
    pub fn are_settled(&self) -> bool {
        self.namespaces.is_settled() && self.clusters.iter().all(|it| it.informer.is_settled())
    }

    /// Completes when all are settled; `false` when they never will be.
    pub async fn settled(&self) -> bool {
        for Clusters { informer, .. } in &self.clusters {
            if !informer.settled().await {
                return false;
            }
        }
        self.namespaces.settled().await
    }
}

type NamespaceEvents = BoxStream<'static, watcher::Result<Event<PartialObjectMeta<Namespace>>>>;

/// All namespaces, because a cluster may select pods by any label of their namespace. The API server
/// sends their metadata alone.
fn watched(client: &Client) -> NamespaceEvents {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let mut failing = false;
    watcher(api, watcher::Config::default())
        .modify(|namespace| {
            namespace.managed_fields_mut().clear();
            namespace.annotations_mut().clear();
        })
        .default_backoff()
        .inspect(move |event| {
            if let Err(error) = event
                && !std::mem::replace(&mut failing, true)
            {
                warn!(%error, "cannot watch namespaces; trying again");
            } else if matches!(event, Ok(Event::InitDone)) {
                failing = false;
            }
        })
        .boxed()
}

fn read(client: &Client, names: Vec<String>) -> NamespaceEvents {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let lists = stream::unfold(Duration::ZERO, move |pause| {
        let (api, names) = (api.clone(), names.clone());
        async move {
            sleep(pause).await;
            let found = join_all(names.iter().map(|name| api.get_opt(name))).await;
            // A namespace that cannot be read, because it is gone or its Role is, hides none of the
            // others.
            let found = found.into_iter().filter_map(|found| {
                found
                    .inspect_err(|error| warn!(%error, "cannot read a namespace; trying again"))
                    .ok()?
            });
            let objects = found.map(Event::InitApply);
            let list = [Event::Init].into_iter().chain(objects).chain([Event::InitDone]);
            Some((stream::iter(list.map(Ok).collect::<Vec<_>>()), READ_INTERVAL))
        }
    });
    lists.flatten().boxed()
}
