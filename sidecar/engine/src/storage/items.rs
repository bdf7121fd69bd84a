//! BEP 44 items held for others, least recently used out first.

use lru::LruCache;
use mainline::Id;

use crate::item::Item;
use crate::krpc::code;

/// Why a stored item stays as it is (BEP 44's codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    CasMismatch,
    SeqTooLow,
}

impl Conflict {
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::CasMismatch => code::CAS_MISMATCH,
            Self::SeqTooLow => code::SEQ_TOO_LOW,
        }
    }

    /// The words of the Node.js Grape, which its clients may look for.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::CasMismatch => "CAS mismatch, re-read and try again",
            Self::SeqTooLow => "sequence number less than current",
        }
    }
}

/// The items held here.
#[derive(Debug)]
pub(super) struct ItemStore {
    items: LruCache<Id, Item>,
    max_items: usize,
}

impl ItemStore {
    pub(super) fn new(max_items: usize) -> Self {
        Self { items: LruCache::unbounded(), max_items: max_items.max(1) }
    }

    /// Holds an item. The same version of a mutable item with the same value is a refresh.
    ///
    /// # Errors
    /// When `cas` is not the stored item's `seq`, or the item's is not greater.
    pub(super) fn put(&mut self, item: Item, cas: Option<i64>) -> Result<(), Conflict> {
        if let (Some(seq), Some(held)) = (item.seq(), self.items.peek(&item.id())) {
            let held_seq = held.seq();
            if cas.is_some() && cas != held_seq {
                return Err(Conflict::CasMismatch);
            }
            let refresh = held_seq == Some(seq) && held.encoded() == item.encoded();
            if held_seq >= Some(seq) && !refresh {
                return Err(Conflict::SeqTooLow);
            }
        }
        self.items.put(item.id(), item);
        if self.items.len() > self.max_items {
            self.items.pop_lru();
        }
        Ok(())
    }

    pub(super) fn get(&mut self, id: &Id) -> Option<&Item> {
        self.items.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::item::{Signed, Value, encode, signable};

    fn text(text: &str) -> Vec<u8> {
        encode(&Value::Bytes(text.as_bytes().to_vec().into())).unwrap()
    }

    fn signed(seq: i64, value: &str) -> Item {
        let key = SigningKey::from_bytes(&[3; 32]);
        let value = text(value);
        let signature = key.sign(&signable(b"s", seq, &value)).to_bytes();
        let key = key.verifying_key().to_bytes();
        Item::mutable(value, Signed { key, signature, seq, salt: b"s".to_vec() }).unwrap()
    }

    #[test]
    fn versions_only_go_up() {
        let mut items = ItemStore::new(10);
        items.put(signed(5, "five"), Some(99)).expect("nothing is stored to compare with");
        assert_eq!(items.put(signed(4, "four"), None), Err(Conflict::SeqTooLow));
        assert_eq!(items.put(signed(5, "other"), None), Err(Conflict::SeqTooLow));
        items.put(signed(5, "five"), None).expect("the same again is a refresh");
        assert_eq!(items.put(signed(6, "six"), Some(4)), Err(Conflict::CasMismatch));
        items.put(signed(6, "six"), Some(5)).expect("cas matches");
        assert_eq!(items.get(&signed(6, "six").id()).unwrap().encoded(), text("six"));
    }

    #[test]
    fn the_least_recently_used_item_goes_first() {
        let mut items = ItemStore::new(2);
        let item = |v| Item::immutable(text(v)).unwrap();
        for v in ["a", "b"] {
            items.put(item(v), None).unwrap();
        }
        items.get(&item("a").id());
        items.put(item("c"), None).unwrap();
        assert_eq!(items.len(), 2);
        assert!(items.get(&item("a").id()).is_some());
        assert!(items.get(&item("b").id()).is_none());
    }
}
