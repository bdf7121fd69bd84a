//! Servers that end with the test, however it ends.

use std::path::Path;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::process::Process;
use crate::wait;

/// Standard input is a pipe that the test alone holds: it ends when the test does, and then so
/// does the shell, which takes the server with it. A killed shell does, too.
const GUARD: &str = r#"
setpriv --pdeathsig KILL -- "$@" </dev/null &
cat <&0 >/dev/null 2>&1 &
wait -n
"#;

/// Starts a server.
pub fn start(name: &str, program: &Path, arguments: &[String]) -> Result<Process> {
    let mut command = Command::new("bash");
    command.args(["-c", GUARD, "guard"]).arg(program).args(arguments);
    Process::start(name, &mut command)
}

/// Asks until the answer is `Ok`: the server is ready.
///
/// # Errors
/// When it ends before, or [`wait::DEADLINE`] passes, with the end of what it logged.
pub async fn ready(server: &mut Process, mut ask: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let outcome = wait::until("it is ready", async || match server.has_ended()? {
        Some(ended) => Ok(Some(ended)),
        None => ask().await.map(|()| None),
    });
    match outcome.await {
        Ok(None) => Ok(()),
        Ok(Some(ended)) => bail!("it ended: {ended}\n{}", server.shown()),
        Err(error) => Err(error.context(server.shown())),
    }
}
