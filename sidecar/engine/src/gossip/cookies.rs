//! Proofs of addresses: a random number that only the owner of an address can repeat.
//!
//! A cookie is derived from the address and a secret of this machine, so that none needs to be kept.
//! Each message has the cookie that its sender expects back, and the one that its sender got.

use std::net::{IpAddr, SocketAddr};

use rand::{Rng, RngExt};

/// Eight bytes, too many to be guessed within the life of a machine.
pub(super) type Cookie = [u8; 8];

/// Gives cookies, and knows them again.
#[derive(Debug)]
pub(super) struct Cookies {
    secret: [u8; 32],
}

impl Cookies {
    pub(super) fn new(rng: &mut impl Rng) -> Self {
        Self { secret: rng.random() }
    }

    /// The cookie of an address.
    pub(super) fn of(&self, addr: SocketAddr) -> Cookie {
        let mut sha1 = sha1_smol::Sha1::new();
        sha1.update(&self.secret);
        match addr.ip() {
            IpAddr::V4(ip) => sha1.update(&ip.octets()),
            IpAddr::V6(ip) => sha1.update(&ip.octets()),
        }
        sha1.update(&addr.port().to_be_bytes());
        let digest = sha1.digest().bytes();
        std::array::from_fn(|i| digest[i])
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_cookie_is_of_one_address_and_one_machine() {
        let mut rng = StdRng::seed_from_u64(1);
        let (ours, theirs) = (Cookies::new(&mut rng), Cookies::new(&mut rng));
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(ours.of(addr("10.0.0.1:1")), ours.of(addr("10.0.0.1:1")));
        assert_ne!(ours.of(addr("10.0.0.1:1")), ours.of(addr("10.0.0.1:2")));
        assert_ne!(ours.of(addr("10.0.0.1:1")), ours.of(addr("10.0.0.2:1")));
        assert_ne!(ours.of(addr("10.0.0.1:1")), theirs.of(addr("10.0.0.1:1")));
    }
}
