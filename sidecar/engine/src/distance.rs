//! Kademlia's XOR metric, over names and targets of any length.

use mainline::Id;

/// The id that a name or target is stored around: its first 20 bytes, filled up with zeros.
///
/// The Node.js Grape compares the common prefix and lets each missing byte count as 255 for every
/// node alike; its order is this one, but for ties, which this breaks the same way at every node.
pub(super) fn target_of(target: &[u8]) -> Id {
    let mut bytes = [0; 20];
    let length = target.len().min(20);
    bytes[..length].copy_from_slice(&target[..length]);
    Id::from(bytes)
}

/// How far a node is from a target, as two numbers: they are compared with two instructions, where
/// bytes take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Distance(u128, u32);

impl Distance {
    pub(super) fn new(a: &Id, b: &Id) -> Self {
        let halves = |id: &Id| {
            let [high @ .., a, b, c, d] = *id.as_bytes();
            (u128::from_be_bytes(high), u32::from_be_bytes([a, b, c, d]))
        };
        let (a, b) = (halves(a), halves(b));
        Self(a.0 ^ b.0, a.1 ^ b.1)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn distances_are_in_the_order_of_their_bytes() {
        let mut rng = StdRng::seed_from_u64(1);
        for differs in 0..20 {
            let target = Id::from(rng.random::<[u8; 20]>());
            let [a, b] = [0, 1].map(|_| {
                let mut id = *target.as_bytes();
                rng.fill(&mut id[differs..]);
                Id::from(id)
            });
            let order = Distance::new(&a, &target).cmp(&Distance::new(&b, &target));
            assert_eq!(order, a.xor(&target).cmp(&b.xor(&target)), "{differs}");
        }
    }

    #[test]
    fn names_of_any_length_have_a_point() {
        assert_eq!(target_of(b"a").as_bytes()[..2], [b'a', 0]);
        assert_eq!(target_of(&[7; 20]), Id::from([7; 20]));
        assert_eq!(target_of(&[7; 300]), Id::from([7; 20]));
    }
}
