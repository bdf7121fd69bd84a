//! `grape` alone: runs a Grape until a signal stops it.

use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::lifecycle::Grape;
use crate::log;
use crate::variables::ServiceLink;

use super::args::NodeArgs;
use super::exit_code;
use super::output::Output;

/// Exit code of a process that a signal stopped before it was done, as shells have it.
const STOPPED: i32 = 130;

/// Runs a Grape: the first SIGTERM or SIGINT drains it, the second stops it at once.
pub(crate) async fn run(args: NodeArgs, links: &BTreeSet<ServiceLink>) -> ExitCode {
    let mut log = match log::to_stderr(args.log.clone(), args.log_format) {
        Ok(log) => log,
        Err(error) => {
            Output::of_process().complain(&format!("cannot start the log: {error}"));
            return exit_code(2);
        }
    };
    for link in links {
        warn!("{link}");
    }
    let mut fail = |what: String| {
        log.say(&format!("grape: {what}"));
        exit_code(2)
    };
    // Before the Grape starts, so that a signal during its start is not missed.
    let mut stop = match Stop::new() {
        Ok(stop) => stop,
        Err(error) => return fail(format!("cannot listen for signals: {error}")),
    };
    let mut grape = match Grape::start(args.config()).await {
        Ok(grape) => grape,
        Err(error) => return fail(error.to_string()),
    };
    tokio::select! {
        failed = grape.failed() => {
            error!("{failed}");
            return exit_code(1);
        }
        () = stop.signal() => {}
    }
    info!("draining; a second signal stops at once");
    tokio::select! {
        drained = grape.drain() => {
            let withdrawn = drained.withdrawn.map_or("not all".to_owned(), |n| n.to_string());
            info!(
                %withdrawn,
                connections_cut_off = drained.cut_off,
                seconds = drained.took.as_secs_f64(),
                "drained"
            );
            ExitCode::SUCCESS
        }
        () = stop.signal() => exit_code(STOPPED),
    }
}

/// The signals that stop a process.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn signal(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
