//! Write tokens: an asker proves that it can receive at the address it announces from (BEP 5).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

/// Bytes of a token. Short, so that a full answer to `get_peers` fits its datagram.
const LENGTH: usize = 6;

/// A secret is used this long, and accepted as long again (BEP 5).
const ROTATION: Duration = Duration::from_secs(300);

type Secret = [u8; 20];
pub(crate) type Token = [u8; LENGTH];

/// Gives tokens, and knows them again for five to ten minutes.
#[derive(Debug)]
pub(super) struct Tokens {
    current: Secret,
    previous: Secret,
    rotated: Instant,
}

impl Tokens {
    pub(super) fn new(rng: &mut impl Rng, now: Instant) -> Self {
        Self { current: rng.random(), previous: rng.random(), rotated: now }
    }

    /// Changes the secret when its time is over.
    pub(super) fn rotate(&mut self, rng: &mut impl Rng, now: Instant) {
        let age = now.duration_since(self.rotated);
        if age < ROTATION {
            return;
        }
        // After a long pause (a laptop that slept) the old secret is out of date as well.
        self.previous = if age < 2 * ROTATION { self.current } else { rng.random() };
        self.current = rng.random();
        self.rotated = now;
    }

    pub(super) fn give(&self, asker: &SocketAddr) -> Token {
        token(&self.current, asker)
    }

    pub(super) fn accepts(&self, asker: &SocketAddr, given: &[u8]) -> bool {
        given == token(&self.current, asker) || given == token(&self.previous, asker)
    }
}

/// Of the port too: another process of the same host has no token with it.
fn token(secret: &Secret, asker: &SocketAddr) -> Token {
    let mut sha1 = sha1_smol::Sha1::new();
    match asker.ip() {
        IpAddr::V4(ip) => sha1.update(&ip.octets()),
        IpAddr::V6(ip) => sha1.update(&ip.octets()),
    }
    sha1.update(&asker.port().to_be_bytes());
    sha1.update(secret);
    let digest = sha1.digest().bytes();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_token_holds_for_its_address_and_two_rotations() {
        let mut rng = StdRng::seed_from_u64(1);
        let start = crate::clock::now();
        let mut tokens = Tokens::new(&mut rng, start);
        let asker = &SocketAddr::from(([10, 0, 0, 1], 20001));
        let token = tokens.give(asker);
        assert!(tokens.accepts(asker, &token));
        for another in [([10, 0, 0, 2], 20001), ([10, 0, 0, 1], 20002)] {
            assert!(!tokens.accepts(&another.into(), &token));
        }
        assert!(!tokens.accepts(asker, b""));
        tokens.rotate(&mut rng, start + ROTATION);
        assert!(tokens.accepts(asker, &token), "the previous secret is still believed");
        tokens.rotate(&mut rng, start + 2 * ROTATION);
        assert!(!tokens.accepts(asker, &token));
    }

    #[test]
    fn a_long_sleep_outdates_every_token() {
        let mut rng = StdRng::seed_from_u64(1);
        let start = crate::clock::now();
        let mut tokens = Tokens::new(&mut rng, start);
        let asker = &SocketAddr::from(([10, 0, 0, 1], 20001));
        let token = tokens.give(asker);
        tokens.rotate(&mut rng, start + 3 * ROTATION);
        assert!(!tokens.accepts(asker, &token));
    }
}
