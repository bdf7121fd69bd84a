//! The Node.js programs of `tests/peers`, and their output: JSON lines with an `event` each.

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::peers;
use crate::process::Process;

/// A program of `tests/peers`, wherever it runs.
pub trait Talks {
    /// Sends a command.
    ///
    /// # Errors
    /// When it no longer reads.
    fn tell(&mut self, command: Value) -> impl Future<Output = Result<()>>;

    /// The next event of a kind. Events of other kinds stay for who asks for them.
    ///
    /// # Errors
    /// When it ends, or a minute passes, before.
    fn event(&mut self, kind: &str) -> impl Future<Output = Result<Value>>;
}

/// Starts a program of `tests/peers` with its argument.
///
/// # Errors
/// When Node.js or the packages cannot be had.
pub fn node(name: &str, program: &str, argument: &Value) -> Result<Process> {
    Process::start(name, &mut command(program, argument)?)
}

/// The command that starts a program of `tests/peers` with its argument.
///
/// # Errors
/// When Node.js or the packages cannot be had.
pub fn command(program: &str, argument: &Value) -> Result<Command> {
    let mut command = Command::new("node");
    command.arg(program).arg(argument.to_string()).current_dir(peers::directory()?);
    // The debug settings of the caller's shell would add to the output.
    command.env_remove("NODE_OPTIONS").env_remove("DEBUG");
    Ok(command)
}

/// The next event of a kind. Events of other kinds stay for who asks for them.
///
/// # Errors
/// When the program ends, or a minute passes, before.
pub async fn event(process: &mut Process, kind: &str) -> Result<Value> {
    process
        .next(&format!("event {kind:?}"), |line| parse(line).filter(|e| e["event"] == kind))
        .await
}

/// Waits for the program's end, and returns all further events of a kind, in order.
///
/// # Errors
/// When the program fails, or does not end in a minute.
pub async fn events_until_end(process: &mut Process, kind: &str) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    let status = process.ended().await?;
    while let Ok(next) = event(process, kind).await {
        events.push(next);
    }
    status.success().then_some(events).with_context(|| format!("{status}\n{}", process.shown()))
}

fn parse(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}
