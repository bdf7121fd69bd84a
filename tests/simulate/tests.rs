//! The short form.

use std::time::Duration;

use clap::ValueEnum;
use indicatif::ProgressBar;

use crate::phases::{self, CHURN_PHASE, Figures, LOOKUPS_PHASE, POPULAR_PHASE, Phase, Plan};

fn run() -> Vec<Figures> {
    let plan = Plan {
        grapes: 100,
        services: 10,
        names_alike: false,
        seed: 1,
        lookups: 200,
        churn: Duration::from_secs(10),
        phases: Phase::value_variants().to_vec(),
    };
    let (mut figures, mut costs) = (Vec::new(), Vec::new());
    phases::run(&plan, &ProgressBar::hidden(), |of_phase, cost| {
        figures.extend(of_phase);
        costs.push(cost);
        Ok(())
    })
    .unwrap();
    assert_eq!(costs.len(), 5);
    figures
}

#[test]
fn every_peer_is_found_and_a_seed_gives_the_same_run() {
    let figures = run();
    let of = |phase| figures.iter().find(|figures| figures.phase == phase).unwrap();
    let lookups = of(LOOKUPS_PHASE);
    assert_eq!((lookups.lookups, lookups.unanswered, lookups.incomplete), (200, 0, 0));
    assert_eq!(of(POPULAR_PHASE).found_percent, Some(100.0));
    assert!(of(CHURN_PHASE).lookups > 0);
    assert_eq!(figures, run());
}
