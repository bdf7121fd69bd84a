//! The npm packages of `tests/peers`, installed once for all tests.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// What puts a copy of the lock file beside what was installed from it.
const STAMP: &str = "node_modules/.installed-from.json";

/// The folder `tests/peers`, with its packages installed as its lock file has them.
///
/// # Errors
/// When node or npm is missing, with the line that installs it, or when `npm ci` fails.
pub fn directory() -> Result<PathBuf> {
    let peers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers");
    // One test installs while the others wait, in whichever process they are.
    let path = peers.join(".installing");
    let lock = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    lock.lock()?;
    let wanted = fs::read_to_string(peers.join("package-lock.json"))?;
    if fs::read_to_string(peers.join(STAMP)).is_ok_and(|installed| installed == wanted) {
        return Ok(peers);
    }
    ensure_runs("node")?;
    ensure_runs("npm")?;
    let installed = Command::new("npm").arg("ci").current_dir(&peers).output()?;
    if !installed.status.success() {
        bail!(
            "`npm ci` in tests/peers failed:\n{}{}",
            String::from_utf8_lossy(&installed.stdout),
            String::from_utf8_lossy(&installed.stderr)
        );
    }
    fs::write(peers.join(STAMP), wanted)?;
    Ok(peers)
}

fn ensure_runs(command: &str) -> Result<()> {
    let runs =
        Command::new(command).arg("--version").output().is_ok_and(|out| out.status.success());
    ensure!(
        runs,
        "{command} is missing, and the tests stand on Node.js Grapes. Install it: \
         apt-get install -y nodejs npm (Node.js 20 or later)"
    );
    Ok(())
}
