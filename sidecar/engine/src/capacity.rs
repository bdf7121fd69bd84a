//! How much room a collection keeps for what may come: a burst should not take memory for ever, nor
//! each new entry an allocation.

/// Entries that an empty collection keeps room for.
const LEAST: usize = 8;

/// Entries that a collection with so many keeps room for.
pub(super) fn capacity(len: usize) -> usize {
    (2 * len).max(LEAST)
}
