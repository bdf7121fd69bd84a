//! Programs of npm's `grapevine`: as they are, or through `examples/grapevine.js` over our Grapes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::Process;
use crate::{our_grape, peers, programs};

/// Which module a program requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// npm's `grapevine`.
    Npm,
    /// `examples/grapevine.js`.
    Ours,
}

impl Module {
    /// What stands in `require('…')`.
    ///
    /// # Errors
    /// When the npm packages cannot be had.
    pub fn path(self) -> Result<PathBuf> {
        Ok(match self {
            Self::Npm => package()?,
            Self::Ours => Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/grapevine"),
        })
    }
}

/// The folder of npm's `grapevine`, with its README, simulations and tests.
///
/// # Errors
/// When the npm packages cannot be had.
pub fn package() -> Result<PathBuf> {
    Ok(peers::directory()?.join("node_modules/grapevine"))
}

/// A file of npm's `grapevine`.
///
/// # Errors
/// When it is not there.
pub fn original(file: &str) -> Result<String> {
    let path = package()?.join(file);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// A program with its line that requires the class `Gossiper` changed, and nothing else.
///
/// # Errors
/// When it has no such line, or several.
pub fn changed(program: &str, module: Module) -> Result<String> {
    let path = module.path()?;
    let path = path.to_str().context("the path is no text")?;
    let lines = ["require('grapevine').Gossiper", "require('../lib/gossiper')"];
    let found: Vec<_> = lines.iter().flat_map(|line| program.match_indices(line)).collect();
    ensure!(found.len() == 1, "{} lines require the class Gossiper: {program}", found.len());
    Ok(program.replacen(found[0].1, &format!("require('{path}').Gossiper"), 1))
}

/// A program that runs, in a folder of its own. Dropping it kills it, and ends its Grapes.
#[derive(Debug)]
pub struct Program {
    /// Its process.
    pub process: Process,
    _folder: TempDir,
}

impl Program {
    /// Runs the text of a program by this command of Node.js, with the file's name behind.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, text: &str, command: &mut Command) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("program.js");
        fs::write(&file, text)?;
        command.arg(file);
        Ok(Self { process: start(name, command)?, _folder: folder })
    }
}

/// Starts `gossiper.js` of `tests/peers`: one Gossiper of these options, which does as it is told.
/// `grape` is the URL of its Grape; without one it starts its own.
///
/// # Errors
/// When it cannot be started.
pub fn gossiper(module: Module, options: &Value, grape: Option<&str>) -> Result<Process> {
    let argument = json!({ "module": module.path()?, "options": options });
    let mut command = programs::command("gossiper.js", &argument)?;
    command.envs(grape.map(|url| ("GRAPE_URL", url)));
    start(&format!("Gossiper {options}"), &mut command)
}

/// Starts a program that requires one of the modules.
///
/// # Errors
/// When it cannot be started.
pub fn start(name: &str, command: &mut Command) -> Result<Process> {
    Process::start(name, environment(command)?)
}

/// Where a program finds npm's packages and our Grape.
fn environment(command: &mut Command) -> Result<&mut Command> {
    command.env("NODE_PATH", peers::directory()?.join("node_modules"));
    command.env("GRAPE_BINARY", our_grape::binary()?);
    Ok(command.env_remove("NODE_OPTIONS").env_remove("DEBUG"))
}
