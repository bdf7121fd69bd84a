//! A review to its answer.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

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

/// How long the API server may take for the objects that a watch has not delivered.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// What reviews are answered from.
pub struct Admission {
    /// The clusters and namespaces.
    pub store: AdmissionStore,
    /// Where verdicts are recorded.
    pub recorder: AdmissionRecorder,
    /// The image of a Grape where neither pod nor cluster names one.
    pub grape_image: String,
}

/// A verdict, and the clusters that were looked up for it, whether they exist or not.
struct Judged {
    verdict: Verdict,
    looked_for: BTreeSet<ClusterName>,
    found: Option<ClusterName>,
}

impl Admission {
    /// Answers a review.
    pub async fn answer(&self, body: Bytes) -> Reply {
        if !self.store.is_complete() {
            // The configuration's failurePolicy decides now: a refusal would be a guess.
            let line = "the clusters and namespaces are not known yet";
            return text(StatusCode::SERVICE_UNAVAILABLE, line);
        }
        let review = match review::read(&body) {
            Ok(review) => review,
            Err(problem) => {
                warn!(%problem, "a review cannot be read");
                // API servers show the text of an error with status 500 only.
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

    /// Judges by the watched objects. If by those the pod gets no Grape, it asks the API server for
    /// the objects: a pod may be created milliseconds after its cluster, or after the label of its
    /// namespace.
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
                warn!(%error, "cannot ask the API server: judging by the watched objects");
                return judged;
            }
            Err(_) => {
                debug!("the API server does not answer: judging by the watched objects");
                return judged;
            }
        };
        // The namespace's fresh label may name another cluster.
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
