//! Writes the completions and the manual pages of `grape` and `grape-operator`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};
use clap_complete::{Generator, Shell};
use grape::cli::completions;

/// Writes the completions and the manual pages of `grape` and `grape-operator`.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder for completions; each shell gets a folder in it.
    completions: PathBuf,
    /// The folder for manual pages.
    man: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    for command in [grape::cli::command(), grape_operator::cli::Cli::command()] {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let folder = arguments.completions.join(shell.to_string());
            let text = completions(shell, &mut command.clone());
            let file = shell.file_name(command.get_name());
            // As the folders of shells have it: /usr/share/bash-completion/completions/grape.
            write(&folder, file.trim_end_matches(".bash"), &text)?;
        }
        fs::create_dir_all(&arguments.man)
            .with_context(|| format!("cannot create {}", arguments.man.display()))?;
        clap_mangen::generate_to(command, &arguments.man)
            .with_context(|| format!("cannot write into {}", arguments.man.display()))?;
    }
    Ok(())
}

fn write(folder: &Path, file: &str, text: &str) -> Result<()> {
    let path = folder.join(file);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}
