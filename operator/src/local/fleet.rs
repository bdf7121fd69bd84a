//! The Grapes that run.

use std::io;

use futures_util::future::{join_all, select_all};
use grape::engine::Status;
use grape::lifecycle::{Grape, StartError};

use super::plan::{Plan, PlannedGrape};
use super::story::Character;

/// All Grapes of a local cluster, in the order of their plan.
pub struct Fleet {
    members: Vec<Member>,
}

struct Member {
    name: String,
    grape: Grape,
}

/// A Grape that did not start.
#[derive(Debug, thiserror::Error)]
#[error("{name} did not start: {error}{}", hint(error))]
pub struct NotStarted {
    name: String,
    error: StartError,
}

/// A Grape that stopped by itself.
#[derive(Debug, thiserror::Error)]
#[error("{name} failed: {reason}")]
pub struct Failed {
    name: String,
    reason: String,
}

impl Fleet {
    /// Starts the Grapes of a plan, one after the other.
    ///
    /// # Errors
    ///
    /// The first that did not start; those before it are stopped.
    pub async fn start(plan: Plan) -> Result<Self, NotStarted> {
        let mut members = Vec::with_capacity(plan.grapes.len());
        for PlannedGrape { name, config } in plan.grapes {
            match Grape::start(config).await {
                Ok(grape) => members.push(Member { name, grape }),
                Err(error) => return Err(NotStarted { name, error }),
            }
        }
        Ok(Self { members })
    }

    /// Who they are, and where they listen.
    pub fn cast(&self) -> Vec<Character> {
        let character = |Member { name, grape }: &Member| Character {
            name: name.clone(),
            api: grape.api_addr(),
            dht: grape.dht_addr(),
        };
        self.members.iter().map(character).collect()
    }

    /// What each of them sees.
    pub fn statuses(&self) -> Vec<Status> {
        self.members.iter().map(|member| member.grape.status()).collect()
    }

    /// Completes when one of them fails. Can be dropped and called again: no failure is missed.
    pub async fn failed(&mut self) -> Failed {
        let failures = self.members.iter_mut().map(|Member { name, grape }| {
            Box::pin(async {
                let reason = grape.failed().await.to_string();
                Failed { name: name.clone(), reason }
            })
        });
        select_all(failures).await.0
    }

    /// Drains all of them at once; how many announces each has withdrawn, with its name.
    pub async fn drain(self) -> Vec<(String, usize)> {
        let drains = self
            .members
            .into_iter()
            .map(|Member { name, grape }| async { (name, grape.drain().await.withdrawn) });
        join_all(drains).await
    }
}

/// What helps when a port is taken: that it is, and the flag that chooses another.
fn hint(error: &StartError) -> String {
    let (source, flag) = match error {
        StartError::Api { source, .. } => (source, "--api-ports"),
        StartError::Dht { source, .. } => (source, "--dht-ports"),
    };
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            format!("\nSomething else listens there: stop it, or choose other ports with {flag}.")
        }
        io::ErrorKind::PermissionDenied => {
            format!("\nPorts under 1024 are for root: choose others with {flag}.")
        }
        _ => String::new(),
    }
}
