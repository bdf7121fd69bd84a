//! The register: which services it announces, renews and holds back.

mod any_order;
mod found;
mod tries;

use std::time::{Duration, Instant};

use super::facts::{GRACE, Reason};
use super::health::ProbeOutcome;
use super::register::{Changes, MAX_PORTS, Register, RegisterConfig, Service};

const AGE: Duration = Duration::from_secs(120);

fn service(name: &str, port: u16) -> Service {
    (name.as_bytes().into(), port)
}

fn checked(max_services: usize) -> Register {
    aged(max_services, AGE)
}

fn aged(max_services: usize, max_age: Duration) -> Register {
    Register::new(RegisterConfig {
        check_announced: true,
        max_services,
        max_age,
        ..RegisterConfig::default()
    })
}

fn declared(services: &[Service], conditions: usize) -> Register {
    Register::new(RegisterConfig {
        declared: services.to_vec(),
        conditions,
        check_announced: true,
        max_services: 10,
        max_age: AGE,
    })
}

/// Tries a port as the letters say: yes, no, undecided. Returns the changes after the last try.
fn tried(register: &mut Register, port: u16, tries: &str, now: Instant) -> Changes {
    let mut changes = Changes::default();
    for letter in tries.chars() {
        register.tried(port, outcome(letter), now);
        changes = register.changes(now);
    }
    changes
}

fn outcome(letter: char) -> ProbeOutcome {
    match letter {
        'y' => ProbeOutcome::Yes,
        'n' => ProbeOutcome::No,
        _ => ProbeOutcome::Undecided,
    }
}

fn announce(services: &[Service]) -> Changes {
    Changes { announce: services.to_vec(), ..Changes::default() }
}

fn withdraw(service: Service, reason: Reason) -> Changes {
    Changes { withdraw: vec![(service, reason)], ..Changes::default() }
}

fn reasons(register: &Register, now: Instant) -> Vec<Reason> {
    register.held_back(now).map(|(_, reason)| reason).collect()
}
