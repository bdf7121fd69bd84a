//! Parts of a network on a thread each. A datagram is on its way for a while, the shortest latency:
//! so long a part can go on without the others, and then they exchange what was sent meanwhile.
//! What each part does depends only on what it has received, in a fixed order: the run is the same
//! at any pace of the threads.

use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::World;
use super::part::{Mail, Part};

/// Lets time pass for all parts, up to `end`.
///
/// # Panics
/// Where a datagram may arrive at the moment it is sent.
pub(super) fn run(parts: &mut [Part], world: &World, begin: Instant, end: Instant) {
    let window = *world.link.latency.start();
    assert!(!window.is_zero(), "parts that run at once need a latency");
    let count = parts.len();
    // From each to each.
    let boxes: Vec<Vec<Mutex<Vec<Mail>>>> =
        (0..count).map(|_| (0..count).map(|_| Mutex::default()).collect()).collect();
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        for (number, part) in parts.iter_mut().enumerate() {
            let (boxes, barrier) = (&boxes, &barrier);
            scope.spawn(move || {
                let mut now = begin;
                while now < end {
                    now = (now + window).min(end);
                    part.run(world, now);
                    for (mail, into) in part.mail.iter_mut().zip(&boxes[number]) {
                        std::mem::swap(
                            mail,
                            &mut into.lock().unwrap_or_else(PoisonError::into_inner),
                        );
                    }
                    barrier.wait();
                    for from in boxes {
                        part.take(&mut from[number].lock().unwrap_or_else(PoisonError::into_inner));
                    }
                    barrier.wait();
                }
            });
        }
    });
}

/// Has each part take what the others have sent.
pub(super) fn exchange(parts: &mut [Part]) {
    if parts.len() == 1 {
        return;
    }
    for from in 0..parts.len() {
        for to in 0..parts.len() {
            let mut mail = std::mem::take(&mut parts[from].mail[to]);
            parts[to].take(&mut mail);
            parts[from].mail[to] = mail;
        }
    }
}
