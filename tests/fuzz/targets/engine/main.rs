//! A node's engine under datagrams, time, and operations, all of libFuzzer's choice.
//!
//! | file | concern |
//! |---|---|
//! | `steps.rs` | what happens |
//! | `items.rs` | BEP 44 items |
//! | `messages.rs` | what other nodes say, as datagrams |
//! | `world.rs` | the node and those around it |
//! | `bounds.rs` | what the node must keep to |

#![no_main]

mod bounds;
mod items;
mod messages;
mod steps;
mod world;

use libfuzzer_sys::fuzz_target;

use steps::Life;
use world::World;

/// Most steps of one life.
const STEPS: usize = 64;

fuzz_target!(|life: Life| {
    let mut world = World::new(&life.node);
    for step in life.steps.iter().take(STEPS) {
        world.step(step);
    }
    world.end();
});
