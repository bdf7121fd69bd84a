//! One table of HTTP requests, sent to npm's Grape and to ours: status and body are equal, but for
//! the rows where we mean to differ.
//!
//! Every test also runs with npm's Grape in our place. That checks the table: its rows must not
//! differ by chance.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alone;
mod announce;
mod envelope;
mod items;
mod lookup;
mod mutable;
mod row;

use grape_tests::grape::{Kind, Options};
use rstest::rstest;

use row::{Row, compare, compare_with};

#[rstest]
#[tokio::test]
async fn requests_in_their_envelope(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    compare(subject, 2, envelope::rows()).await;
}

#[rstest]
#[tokio::test]
async fn paths_of_our_own(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    compare(subject, 2, envelope::paths_of_our_own()).await;
}

#[rstest]
#[tokio::test]
async fn bodies_at_the_limit(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    compare(subject, 2, envelope::limits()).await;
}

#[rstest]
#[tokio::test]
async fn lookups(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    compare(subject, 2, lookup::rows()).await;
}

#[rstest]
#[tokio::test]
async fn announces(
    #[values(Kind::Npm, Kind::Ours)] subject: Kind,
    #[values(false, true)] unbound: bool,
) {
    let options = Options { unbound, ..Options::default() };
    compare_with(subject, 2, &options, announce::rows()).await;
}

#[rstest]
#[tokio::test]
async fn announces_of_impossible_ports(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    let options = Options { unbound: true, ..Options::default() };
    compare_with(subject, 2, &options, announce::impossible_ports()).await;
}

#[rstest]
#[tokio::test]
async fn immutable_items(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    compare(subject, 2, items::rows()).await;
}

#[rstest]
#[tokio::test]
async fn hashes_without_a_byte(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    for row in items::empty_hashes() {
        compare(subject, 2, vec![row]).await;
    }
}

#[rstest]
#[tokio::test]
async fn mutable_items(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    compare(subject, 2, mutable::rows()).await;
}

#[rstest]
#[tokio::test]
async fn refused_items(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    compare(subject, 2, mutable::refusals()).await;
}

#[rstest]
#[tokio::test]
async fn a_grape_that_is_alone(#[values(Kind::Npm, Kind::Ours)] subject: Kind) {
    compare(subject, 1, alone::rows()).await;
}
