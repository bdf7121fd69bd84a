//! The Grapes that run.

use std::io::ErrorKind;
use std::net::SocketAddr;

use futures_util::future::{join_all, select_all};
use grape::lifecycle::{Drained, Grape, StartError, TaskFailed};
use grape::services::Refusal;
use grape_engine::Status;

use super::plan::{Plan, PlannedGrape};
use super::progress::Member;

/// All Grapes of a local cluster, in the order of their plan.
pub struct LocalCluster {
    grapes: Vec<RunningGrape>,
}

struct RunningGrape {
    name: String,
    grape: Grape,
}

/// A Grape that did not start.
#[derive(Debug, thiserror::Error)]
#[error("{name} did not start: {}", reason(.error))]
pub struct NotStarted {
    name: String,
    error: StartError,
}

/// A Grape that stopped by itself.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {failure}")]
pub struct Failed {
    name: String,
    failure: TaskFailed,
}

impl LocalCluster {
    /// Starts the Grapes of a plan, one after the other.
    ///
    /// On a runtime of one thread all of their ports are bound before the first of them asks for
    /// the others, so that none waits for an answer from a Grape that is not there yet.
    ///
    /// # Errors
    ///
    /// The first that did not start; those before it are stopped.
    pub async fn start(plan: Plan) -> Result<Self, NotStarted> {
        let mut grapes = Vec::with_capacity(plan.grapes.len());
        for PlannedGrape { name, config } in plan.grapes {
            match Grape::start(config).await {
                Ok(grape) => grapes.push(RunningGrape { name, grape }),
                Err(error) => return Err(NotStarted { name, error }),
            }
        }
        Ok(Self { grapes })
    }

    /// Who they are, and where they listen.
    pub fn members(&self) -> Vec<Member> {
        let member = |RunningGrape { name, grape }: &RunningGrape| Member {
            name: name.clone(),
            api: grape.api_addr(),
            dht: grape.dht_addr(),
        };
        self.grapes.iter().map(member).collect()
    }

    /// What each of them sees.
    pub fn statuses(&self) -> Vec<Status> {
        self.grapes.iter().map(|member| member.grape.status()).collect()
    }

    /// What each of them refused.
    pub fn refusals(&self) -> Vec<Vec<Refusal>> {
        self.grapes.iter().map(|member| member.grape.refusals()).collect()
    }

    /// The bootstrap addresses from which each of them has no answer.
    pub fn silent_seeds(&self) -> Vec<Vec<SocketAddr>> {
        self.grapes.iter().map(|member| member.grape.dht().silent_seeds()).collect()
    }

    /// Completes when one of them fails. Can be dropped and called again: no failure is missed.
    pub async fn failed(&mut self) -> Failed {
        let failures = self.grapes.iter_mut().map(|RunningGrape { name, grape }| {
            Box::pin(async { Failed { name: name.clone(), failure: grape.failed().await } })
        });
        select_all(failures).await.0
    }

    /// Drains all of them at once; what came of it, with the name of each.
    pub async fn drain(self) -> Vec<(String, Drained)> {
        let drains = self
            .grapes
            .into_iter()
            .map(|RunningGrape { name, grape }| async { (name, grape.drain().await) });
        join_all(drains).await
    }
}

/// Why a Grape did not start, in the terms of this command: its flags are not those of `grape`.
fn reason(error: &StartError) -> String {
    let (what, address, source, flag) = match error {
        StartError::Api { address, source } => ("API", address, source, "--api-ports"),
        StartError::Dht(error) => ("DHT", &error.addr, &error.source, "--dht-ports"),
        other => return other.to_string(),
    };
    let port = address.port();
    match source.kind() {
        ErrorKind::AddrInUse => format!(
            "port {port} of its {what} ({address}) is in use; stop what listens there, or choose \
             other ports with {flag}"
        ),
        ErrorKind::PermissionDenied => {
            format!("port {port} of its {what} is not allowed; choose other ports with {flag}")
        }
        _ => format!("its {what} cannot listen at {address}: {source}"),
    }
}
