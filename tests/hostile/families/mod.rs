//! The attacks, a file for each family.

mod connections;
mod deaths;
mod everything;
mod floods;
mod forged;
mod gossip;
mod ids;
mod lookups;
mod notices;
mod peers;
mod requests;
mod stored;
mod web_pages;

use std::sync::atomic::Ordering;

use crate::attack::Attack;

/// Counters are read one by one.
const RELAXED: Ordering = Ordering::Relaxed;

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Attack> {
    let families = [
        floods::attacks(),
        lookups::attacks(),
        ids::attacks(),
        notices::attacks(),
        deaths::attacks(),
        peers::attacks(),
        stored::attacks(),
        forged::attacks(),
        connections::attacks(),
        requests::attacks(),
        web_pages::attacks(),
        gossip::attacks(),
        everything::attacks(),
    ];
    families.into_iter().flatten().collect()
}
