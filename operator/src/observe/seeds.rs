//! Why Grapes that have just started may not find others: names that do not resolve. I/O.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::iter;

use super::outside::Trouble;
use super::{ASKED_AT_ONCE, Observer, Target, ask};

/// A name by which a Grape joins, and which does not resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedSeed {
    /// The name, as `HOST:PORT`.
    pub name: String,
    /// The reason, in the words of the first report; 200 characters at most.
    pub reason: String,
}

/// For each Grape, by its pod's name, the first name that does not resolve there.
pub type UnresolvedSeeds = BTreeMap<String, UnresolvedSeed>;

impl Observer {
    /// Asks these Grapes, which are not ready, for names that do not resolve. Grapes that do not
    /// answer are left out.
    pub async fn unresolved_seeds(&self, targets: &[Target]) -> UnresolvedSeeds {
        let asking = targets.iter().cloned().map(|target| async move {
            let report = ask::ask(&self.caller, target.admin()).await.ok()?;
            let mut troubles = report.troubles.into_iter();
            troubles.find_map(|(name, trouble)| match trouble {
                Trouble::Unresolved(reason) => {
                    Some((target.name.clone(), UnresolvedSeed { name, reason }))
                }
                Trouble::Unanswered(_) => None,
            })
        });
        iter(asking).buffer_unordered(ASKED_AT_ONCE).filter_map(async |it| it).collect().await
    }
}
