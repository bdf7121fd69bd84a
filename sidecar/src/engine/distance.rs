//! Kademlia's XOR metric, over names and targets of any length.

use mainline::Id;

/// The point that a name or target is stored around: its first 20 bytes, filled up with zeros.
///
/// The Node.js Grape compares the common prefix and lets each missing byte count as 255 for every
/// node alike; its order is this one, but for ties, which this breaks the same way at every node.
pub(super) fn point(target: &[u8]) -> Id {
    let mut bytes = [0; 20];
    let length = target.len().min(20);
    bytes[..length].copy_from_slice(&target[..length]);
    Id::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_have_a_point() {
        assert_eq!(point(b"a").as_bytes()[..2], [b'a', 0]);
        assert_eq!(point(&[7; 20]), Id::from([7; 20]));
        assert_eq!(point(&[7; 300]), Id::from([7; 20]));
    }
}
