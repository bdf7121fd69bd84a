//! Stage 4: the plan, carried out.

use kube::ResourceExt;

use super::Reconciler;
use super::plan::{Plan, Writes};
use super::validate::Subject;
use crate::controller::apply::{AppliedObjects, Applier};
use crate::controller::error::Error;
use crate::controller::objects::{ApplyContext, ObjectChanges};
use crate::controller::rollout::Phase;

/// What came of a plan.
pub(super) struct Applied {
    /// Why the objects are not as they should be, if that lasts.
    pub(super) trouble: Option<Error>,
    /// Whether the status waits for an event of the watch of a StatefulSet.
    pub(super) status_waits: bool,
    /// Where a change of the pods stands.
    pub(super) phase: Phase,
    /// The image of the last rollout that reached all Grapes.
    pub(super) rolled_out: String,
}

impl Reconciler {
    /// Carries out a plan.
    ///
    /// # Errors
    /// The API server cannot do it now.
    pub(super) async fn apply(&self, subject: &Subject<'_>, plan: Plan) -> Result<Applied, Error> {
        let Plan { writes, phase, rolled_out } = plan;
        let uid = &subject.owner.uid;
        let mut objects = self.states.of(uid, |state| std::mem::take(&mut state.objects));
        let changes = match writes {
            Some(writes) => self.write(subject, &writes, &mut objects).await,
            None => Ok(ObjectChanges::default()),
        };
        let (changes, trouble) = match changes {
            Ok(changes) => (Ok(changes), None),
            Err(error) if error.is_lasting() => (Ok(ObjectChanges::default()), Some(error)),
            Err(error) => (Err(error), None),
        };
        let status_waits = self.states.of(uid, |state| {
            state.objects = objects;
            if let Ok(changes) = &changes {
                // The watch of a StatefulSet soon delivers the changed one. A status that is
                // written before would have to be written twice. If the watch is late, the status
                // is written without it.
                state.status_waits = changes.changed && !state.status_waits;
            }
            state.status_waits
        });
        self.events.applied(&subject.cluster, &changes?).await;
        Ok(Applied { trouble, status_waits, phase, rolled_out })
    }

    async fn write(
        &self,
        subject: &Subject<'_>,
        writes: &Writes,
        objects: &mut AppliedObjects,
    ) -> Result<ObjectChanges, Error> {
        let mut context = ApplyContext {
            client: &self.client,
            stores: &self.stores,
            namespace: &subject.namespace,
            applier: Applier { owner: &subject.owner, applied: objects },
        };
        let changes = context.apply(&writes.desired).await?;
        if let Some(pod) = &writes.replace {
            context.replace(pod).await?;
        }
        for set in &writes.remove {
            context.remove(set).await?;
            self.events.pool_removed(&subject.cluster, &set.name_any()).await;
        }
        Ok(changes)
    }
}
