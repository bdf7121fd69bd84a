//! Whether answers are spread evenly over all peers: a chi-square test.

use anyhow::{Context, Result, ensure};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// What the test came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// Chi-square by its degrees of freedom: about 1 where all is even.
    pub(super) statistic: f64,
    /// How likely even answers are to look as uneven as that, or more.
    pub(super) p: f64,
}

/// Tests `shown`, how often each peer was in an answer, where each answer had `each` of them.
///
/// Within an answer no peer comes twice, which makes the counts a little more even than chance
/// would; the statistic is scaled up for that by (n - 1) / (n - each), as for draws without
/// replacement.
///
/// # Errors
/// Where fewer than 5 are expected of each peer, or each answer has all: the test then says
/// nothing.
pub(super) fn spread(shown: &[u32], each: f64) -> Result<Spread> {
    let peers = shown.len() as f64;
    ensure!(peers - 1.0 > each, "{peers} peers in answers of {each}");
    let total: f64 = shown.iter().map(|n| f64::from(*n)).sum();
    let expected = total / peers;
    ensure!(expected >= 5.0, "each peer is expected {expected:.1} times, less than 5");
    let chi: f64 = shown.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
    let degrees = peers - 1.0;
    let chi = chi * degrees / (peers - each);
    let distribution = ChiSquared::new(degrees).context("degrees of freedom")?;
    Ok(Spread { statistic: chi / degrees, p: distribution.sf(chi) })
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Counts of 2,000 answers of 100 from 1,000 peers; every tenth is left out of this share.
    fn counts(left_out: f64) -> Vec<u32> {
        let mut rng = StdRng::seed_from_u64(1);
        let mut counts = vec![0; 1000];
        for _ in 0..2000 {
            for peer in rand::seq::index::sample(&mut rng, 1000, 100) {
                if !peer.is_multiple_of(10) || !rng.random_bool(left_out) {
                    counts[peer] += 1;
                }
            }
        }
        counts
    }

    #[test]
    fn even_answers_pass_and_others_do_not() {
        let even = spread(&counts(0.0), 100.0).unwrap();
        assert!(even.p > 0.01 && (0.8..1.2).contains(&even.statistic), "{even:?}");
        let uneven = spread(&counts(0.2), 100.0).unwrap();
        assert!(uneven.p < 1e-6, "{uneven:?}");
    }

    #[test]
    fn too_few_answers_say_nothing() {
        assert!(spread(&[4, 4, 4, 4], 1.0).is_err());
        assert!(spread(&[9, 9], 2.0).is_err());
    }
}
