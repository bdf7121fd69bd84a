//! Servers that end with the test, however it ends.

use std::path::Path;

use anyhow::Result;
use tokio::process::Command;

use crate::process::Process;

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
