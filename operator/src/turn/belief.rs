//! Whether the operator behind a Lease may run GrapeClusters at all. Otherwise any user who may
//! write Leases in a namespace could keep every operator waiting.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use grape_cluster::GrapeCluster;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use lru::LruCache;

use super::claim::{Claim, Shared};

/// How long an answer is valid.
const BELIEVED: Duration = Duration::from_secs(300);

/// Most answers that are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(1024).expect("more than none");

/// Asks the API server what a ServiceAccount may do.
pub struct Belief {
    client: Client,
    /// By who it is, and where it would work.
    answers: LruCache<(String, String), (bool, Instant)>,
}

impl Belief {
    /// Nothing is asked before it is to be known.
    pub fn new(client: Client) -> Self {
        Self { client, answers: LruCache::new(KEPT) }
    }

    /// Whether the operator of a claim may write the status of GrapeClusters where both would work.
    ///
    /// # Errors
    /// The API server does not answer, or refuses to say.
    pub async fn holds(
        &mut self,
        claim: &Claim,
        shared: &Shared,
        now: Instant,
    ) -> kube::Result<bool> {
        let Some(account) = &claim.account else { return Ok(false) };
        let namespace = match shared {
            // In the API, none is all.
            Shared::All => String::new(),
            Shared::Namespace(namespace) => namespace.clone(),
        };
        let user = format!("system:serviceaccount:{}:{account}", claim.namespace);
        let key = (user.clone(), namespace.clone());
        if let Some((holds, until)) = self.answers.get(&key)
            && *until > now
        {
            return Ok(*holds);
        }
        let groups = ["system:serviceaccounts", "system:authenticated"].map(str::to_owned);
        let own = format!("system:serviceaccounts:{}", claim.namespace);
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user),
                groups: Some(groups.into_iter().chain([own]).collect()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(GrapeCluster::group(&()).into_owned()),
                    resource: Some(GrapeCluster::plural(&()).into_owned()),
                    subresource: Some("status".to_owned()),
                    verb: Some("patch".to_owned()),
                    namespace: Some(namespace),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answered = reviews.create(&PostParams::default(), &review).await?;
        let holds = answered.status.is_some_and(|status| status.allowed);
        self.answers.put(key, (holds, now + BELIEVED));
        Ok(holds)
    }
}
