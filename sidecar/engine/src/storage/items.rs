//! BEP 44 items held for others.

use std::collections::HashMap;
use std::net::IpAddr;

use ahash::RandomState;
use mainline::Id;

use super::shares::Shares;
use crate::Bound;
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

/// An item, and which host's it is.
#[derive(Debug)]
struct Held {
    item: Item,
    host: IpAddr,
}

/// The items held here. Where there are too many, the host that put the most makes room, with the one
/// that was used least recently.
#[derive(Debug)]
pub(super) struct ItemStore {
    items: HashMap<Id, Held, RandomState>,
    shares: Shares<Id>,
    max_items: usize,
}

impl ItemStore {
    pub(super) fn new(max_items: usize) -> Self {
        Self { items: HashMap::default(), shares: Shares::default(), max_items: max_items.max(1) }
    }

    /// Holds an item, put by a host. The same version of a mutable item with the same value is a
    /// refresh.
    ///
    /// # Errors
    /// When `cas` is not the stored item's `seq`, or the item's is not greater.
    pub(super) fn put(
        &mut self,
        item: Item,
        cas: Option<i64>,
        host: IpAddr,
    ) -> Result<(), Conflict> {
        let id = item.id();
        let before = self.items.get(&id);
        if let (Some(seq), Some(Held { item: held, .. })) = (item.seq(), before) {
            let held_seq = held.seq();
            if cas.is_some() && cas != held_seq {
                return Err(Conflict::CasMismatch);
            }
            let refresh = held_seq == Some(seq) && held.encoded() == item.encoded();
            if held_seq >= Some(seq) && !refresh {
                return Err(Conflict::SeqTooLow);
            }
        }
        if let Some(before) = self.items.insert(id, Held { item, host }) {
            self.shares.remove(&id, before.host);
        }
        self.shares.add(&id, host);
        if self.items.len() > self.max_items
            && let Some((_, id)) = self.shares.make_room()
        {
            self.items.remove(&id);
        }
        Ok(())
    }

    pub(super) fn get(&mut self, id: &Id) -> Option<&Item> {
        let held = self.items.get(id)?;
        self.shares.renew(id, held.host);
        Some(&held.item)
    }

    pub(super) fn bound(&self) -> Bound {
        Bound { used: self.items.len(), most: self.max_items }
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

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn versions_only_go_up() {
        let mut items = ItemStore::new(10);
        items.put(signed(5, "five"), Some(99), HOST).expect("nothing is stored to compare with");
        assert_eq!(items.put(signed(4, "four"), None, HOST), Err(Conflict::SeqTooLow));
        assert_eq!(items.put(signed(5, "other"), None, HOST), Err(Conflict::SeqTooLow));
        items.put(signed(5, "five"), None, HOST).expect("the same again is a refresh");
        assert_eq!(items.put(signed(6, "six"), Some(4), HOST), Err(Conflict::CasMismatch));
        items.put(signed(6, "six"), Some(5), HOST).expect("cas matches");
        assert_eq!(items.get(&signed(6, "six").id()).unwrap().encoded(), text("six"));
    }

    #[test]
    fn the_least_recently_used_item_goes_first() {
        let mut items = ItemStore::new(2);
        let item = |v| Item::immutable(text(v)).unwrap();
        for v in ["a", "b"] {
            items.put(item(v), None, HOST).unwrap();
        }
        items.get(&item("a").id());
        items.put(item("c"), None, HOST).unwrap();
        assert_eq!(items.len(), 2);
        assert!(items.get(&item("a").id()).is_some());
        assert!(items.get(&item("b").id()).is_none());
    }

    #[test]
    fn a_host_that_puts_without_end_crowds_out_nobody() {
        let mut items = ItemStore::new(100);
        let item = |v: &str| Item::immutable(text(v)).unwrap();
        for host in 1..=20 {
            let put = items.put(item(&format!("honest {host}")), None, [10, 0, 1, host].into());
            put.unwrap();
        }
        for n in 0..1000 {
            items.put(item(&format!("false {n}")), None, HOST).unwrap();
        }
        assert_eq!(items.len(), 100);
        for host in 1..=20 {
            assert!(items.get(&item(&format!("honest {host}")).id()).is_some(), "{host}");
        }
    }
}
