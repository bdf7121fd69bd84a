//! A review to its answer.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use grape_cluster::validate::ValidatedCluster;
use http::StatusCode;
use hyper::body::Bytes;
use tokio::time::timeout;
use tracing::{debug, error, warn};

use super::recorder::AdmissionRecorder;
use super::review::{self, Review};
use super::store::{AdmissionStore, ClusterName, Labels};
use crate::inject::{self, Reason, Verdict};
use crate::server::{Reply, json, text};

/// How long the API server may take to say what a watch has not told.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// What reviews are answered by.
pub struct Admission {
    /// Which clusters and namespaces there are.
    pub store: AdmissionStore,
    /// Where it is told what became of pods.
    pub recorder: AdmissionRecorder,
    /// The image of a Grape where neither pod nor cluster names one.
    pub grape_image: String,
}

/// A verdict, and which clusters it depends on: those that were looked for, and there or not.
struct Judged {
    verdict: Verdict,
    looked_for: BTreeSet<ClusterName>,
    found: Option<ClusterName>,
}

impl Admission {
    /// Answers a review.
    pub async fn answer(&self, body: Bytes) -> Reply {
        if !self.store.is_whole().now_or_never().unwrap_or_default() {
            // What the configuration's failurePolicy is for: to refuse would be a guess.
            let line = "the clusters and namespaces are not known yet";
            return text(StatusCode::SERVICE_UNAVAILABLE, line);
        }
        let review = match review::read(&body) {
            Ok(review) => review,
            Err(problem) => {
                warn!(%problem, "a review cannot be read");
                // Of other errors an API server does not tell the text.
                return text(StatusCode::INTERNAL_SERVER_ERROR, problem.to_string());
            }
        };
        let judged = self.judge(&review).await;
        if !review.request.dry_run {
            let about = || {
                let found = judged.found.as_ref();
                let found = found.and_then(|(space, name)| self.store.reference(space, Some(name)));
                found.or_else(|| self.store.reference(&review.namespace, None))
            };
            self.recorder.record((&review.namespace, &review.pod), about, &judged.verdict);
        }
        match review::answer(&review, judged.verdict) {
            Ok(answer) => json(answer),
            Err(error) => {
                error!(%error, "a review cannot be answered: this is a defect of the operator");
                text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
        }
    }

    /// By what the watches told; and where that is not enough for the pod to have its Grape, by what
    /// the API server says itself: a pod may follow its cluster, or the label of its namespace, by
    /// milliseconds.
    async fn judge(&self, review: &Review) -> Judged {
        let labels = self.store.labels(&review.namespace);
        let find = |namespace: &str, name: &str| self.store.cluster(namespace, name);
        let judged = self.by(review, &labels, &find);
        match &judged.verdict {
            Verdict::Skip { .. }
            | Verdict::Refuse { .. }
            | Verdict::Unchanged { reason: Reason::NotAsked } => {}
            Verdict::Inject { .. } | Verdict::Unchanged { .. } => return judged,
        }
        let fresh = self.store.refresh(&review.namespace, judged.looked_for.clone());
        let fresh = match timeout(REFRESH_TIMEOUT, fresh).await {
            Ok(Ok(fresh)) => fresh,
            Ok(Err(error)) => {
                warn!(%error, "cannot ask the API server: what it told before counts");
                return judged;
            }
            Err(_) => {
                debug!("the API server does not answer: what it told before counts");
                return judged;
            }
        };
        // By a namespace's label it may be another cluster that is looked for now.
        let find = |namespace: &str, name: &str| {
            let name = (namespace.to_owned(), name.to_owned());
            let found = fresh.clusters.get(&name).cloned();
            let new = !judged.looked_for.contains(&name);
            found.or_else(|| new.then(|| self.store.cluster(&name.0, &name.1)).flatten())
        };
        self.by(review, &fresh.labels, &find)
    }

    fn by(
        &self,
        review: &Review,
        labels: &Labels,
        find: &dyn Fn(&str, &str) -> Option<Arc<ValidatedCluster>>,
    ) -> Judged {
        let looked_for = RefCell::new(BTreeSet::new());
        let found = RefCell::new(None);
        let clusters = |namespace: &str, name: &str| {
            let key = (namespace.to_owned(), name.to_owned());
            looked_for.borrow_mut().insert(key.clone());
            let cluster = find(namespace, name)?;
            *found.borrow_mut() = Some(key);
            Some(cluster)
        };
        let context = inject::Context {
            namespace: &review.namespace,
            namespace_labels: labels,
            clusters: &clusters,
            all: &|| self.store.clusters(),
            grape_image: &self.grape_image,
        };
        let verdict = inject::inject(&review.pod, &context);
        Judged { verdict, looked_for: looked_for.into_inner(), found: found.into_inner() }
    }
}
