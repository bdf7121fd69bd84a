//! Objects of a cluster: applied if they differ, recreated if they cannot be changed, deleted if
//! they are no longer wanted.
//!
//! Server-side apply owns what is sent, and leaves to others what is theirs. What was applied and
//! is as it was then costs no call.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::info;

use super::error::{Error, is_lasting};
use crate::api_client::MANAGER;
use crate::desired::labels;

/// Whose objects are applied.
pub struct Applier<'a> {
    /// The cluster that controls them.
    pub owner: &'a OwnerReference,
    /// What was applied before.
    pub applied: &'a mut AppliedObjects,
}

/// What was applied of one cluster.
#[derive(Debug, Default)]
pub struct AppliedObjects {
    /// By kind and name.
    stamps: BTreeMap<(String, String), Stamp>,
    /// Whether it is known to have no ServiceMonitor.
    pub no_monitor: bool,
}

/// An object as it was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    /// A hash of what was sent.
    sent: u64,
    /// The resourceVersion that came of it.
    version: Option<String>,
}

/// How an object that cannot be changed in place is deleted to be recreated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreate {
    /// With all that it controls.
    Whole,
    /// Alone: its pods stay, and the new one takes them over.
    Orphaning,
}

/// What came of applying an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyResult {
    /// It is as it should be.
    None,
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted to be recreated, or is still being deleted: a watch will report its end.
    Leaving,
}

impl Applier<'_> {
    /// Applies an object; `live` is the one that is watched, if there is one.
    ///
    /// # Errors
    /// It is refused, its name is taken, or the API server cannot do it now.
    pub async fn apply<K>(
        &mut self,
        (api, kind): (&Api<K>, &str),
        object: &K,
        live: Option<Arc<K>>,
        recreate: Recreate,
    ) -> Result<ApplyResult, Error>
    where
        K: Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let object_ref = ObjectRef::of(kind, object);
        let sent = hash(object)?;
        let live = match live {
            Some(live) => Some(live),
            // One that is not watched is not ours, or was made a moment ago.
            None => {
                let read = find(api, &object_ref.name).await;
                read.map_err(Error::failed("read", &object_ref))?.map(Arc::new)
            }
        };
        if let Some(live) = &live {
            self.check_owner(&object_ref, &**live)?;
            if live.meta().deletion_timestamp.is_some() {
                return Ok(ApplyResult::Leaving);
            }
            let stamp = Stamp { sent, version: live.resource_version() };
            if self.applied.stamps.get(&object_ref.key()) == Some(&stamp) {
                return Ok(ApplyResult::None);
            }
        }
        let force = PatchParams::apply(MANAGER).force();
        let applied = match api.patch(&object_ref.name, &force, &Patch::Apply(object)).await {
            Ok(applied) => applied,
            Err(kube::Error::Api(refusal)) if refusal.code == 422 && live.is_some() => {
                if self.is_good(api, object).await.map_err(Error::failed("try", &object_ref))? {
                    self.remove(api, &object_ref, live.as_deref(), recreate).await?;
                    return Ok(ApplyResult::Leaving);
                }
                return Err(object_ref.refused(&refusal.message));
            }
            Err(kube::Error::Api(refusal)) if is_lasting(&refusal) => {
                return Err(object_ref.refused(&refusal.message));
            }
            Err(error) => return Err(Error::failed("apply", &object_ref)(error)),
        };
        let version = applied.resource_version();
        let before = live.as_ref().map(|live| live.resource_version());
        let stamp = Stamp { sent, version: version.clone() };
        self.applied.stamps.insert(object_ref.key(), stamp);
        Ok(match before {
            None => {
                info!(kind = object_ref.kind, name = object_ref.name, "created");
                ApplyResult::Created
            }
            Some(before) if before == version => ApplyResult::None,
            Some(_) => {
                info!(kind = object_ref.kind, name = object_ref.name, "updated");
                ApplyResult::Updated
            }
        })
    }

    /// Deletes an object that is no more wanted.
    ///
    /// # Errors
    /// The API server cannot do it now.
    pub async fn prune<K>(&mut self, (api, kind): (&Api<K>, &str), object: &K) -> Result<(), Error>
    where
        K: Resource + Clone + Debug + DeserializeOwned,
    {
        if object.meta().deletion_timestamp.is_some() {
            return Ok(());
        }
        self.remove(api, &ObjectRef::of(kind, object), Some(object), Recreate::Whole).await
    }

    /// Whether the API server would accept an object as a new one, if the old one were gone. A dry
    /// run answers that the name is taken, which is checked after everything else.
    async fn is_good<K>(&self, api: &Api<K>, object: &K) -> kube::Result<bool>
    where
        K: Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        match api.create(&dry, object).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(refusal)) if refusal.code == 409 => Ok(true),
            Err(kube::Error::Api(refusal)) if is_lasting(&refusal) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn remove<K>(
        &mut self,
        api: &Api<K>,
        object_ref: &ObjectRef,
        live: Option<&K>,
        recreate: Recreate,
    ) -> Result<(), Error>
    where
        K: Resource + Clone + Debug + DeserializeOwned,
    {
        let propagation_policy = Some(match recreate {
            Recreate::Whole => PropagationPolicy::Background,
            Recreate::Orphaning => PropagationPolicy::Orphan,
        });
        // An object that somebody else made under that name meanwhile stays.
        let uid = live.and_then(|live| live.uid());
        let preconditions = Some(Preconditions { uid, resource_version: None });
        let parameters = DeleteParams { propagation_policy, preconditions, ..Default::default() };
        info!(kind = object_ref.kind, name = object_ref.name, ?recreate, "deleting");
        match api.delete(&object_ref.name, &parameters).await {
            Ok(_) => {}
            Err(kube::Error::Api(refusal)) if refusal.code == 404 => {}
            Err(error) => return Err(undeleted(object_ref)(error)),
        }
        self.applied.stamps.remove(&object_ref.key());
        Ok(())
    }

    /// Whether an object is this cluster's.
    pub fn controls(&self, live: &impl Resource) -> bool {
        controller(live).is_some_and(|by| by.uid == self.owner.uid)
    }

    fn check_owner(&self, object_ref: &ObjectRef, live: &impl Resource) -> Result<(), Error> {
        let ObjectRef { kind, name } = object_ref;
        match controller(live) {
            Some(by) if by.uid == self.owner.uid => Ok(()),
            Some(by) if by.kind == self.owner.kind && by.name == self.owner.name => {
                Err(Error::Former { kind: kind.clone(), name: name.clone() })
            }
            // One that somebody has freed of its owner is taken back.
            None if is_labelled(live, &self.owner.name) => Ok(()),
            _ => Err(Error::NameTaken { kind: kind.clone(), name: name.clone() }),
        }
    }
}

/// An object, if there is one, and its kind.
///
/// # Errors
/// The API server does not answer, or refuses.
pub async fn find<K>(api: &Api<K>, name: &str) -> kube::Result<Option<K>>
where
    K: Clone + Debug + DeserializeOwned,
{
    match api.get(name).await {
        Ok(found) => Ok(Some(found)),
        // Of a kind that it does not know, the API server says so without a reason.
        Err(kube::Error::Api(refusal)) if refusal.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

fn controller(live: &impl Resource) -> Option<&OwnerReference> {
    live.meta().owner_references.as_ref()?.iter().find(|by| by.controller == Some(true))
}

fn is_labelled(live: &impl Resource, cluster: &str) -> bool {
    let labels = live.meta().labels.as_ref();
    let has = |key: &str, value: &str| {
        labels.and_then(|labels| labels.get(key)).is_some_and(|found| found == value)
    };
    has(labels::MANAGED_BY, labels::OPERATOR) && has(labels::INSTANCE, cluster)
}

/// That an object is not deleted: refused for long, or just now.
pub(super) fn undeleted(object_ref: &ObjectRef) -> impl FnOnce(kube::Error) -> Error {
    move |error| match error {
        kube::Error::Api(refusal) if is_lasting(&refusal) => Error::Refused {
            kind: format!("deletion of the {}", object_ref.kind),
            name: object_ref.name.clone(),
            message: refusal.message,
        },
        error => Error::failed("delete", object_ref)(error),
    }
}

/// An object's kind and name.
pub(super) struct ObjectRef {
    kind: String,
    name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {}", self.kind, self.name)
    }
}

impl ObjectRef {
    pub(super) fn of<K: Resource>(kind: &str, object: &K) -> Self {
        Self { kind: kind.to_owned(), name: object.name_any() }
    }

    fn key(&self) -> (String, String) {
        (self.kind.clone(), self.name.clone())
    }

    fn refused(&self, message: &str) -> Error {
        let Self { kind, name } = self;
        Error::Refused { kind: kind.clone(), name: name.clone(), message: message.to_owned() }
    }
}

fn hash(object: &impl Serialize) -> Result<u64, Error> {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(object)?.hash(&mut hasher);
    Ok(hasher.finish())
}
