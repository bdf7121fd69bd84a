//! The command `grape`. Alone it runs a Grape; its subcommands ask one that runs.
//!
//! Exit codes: 0 for done and found, 1 for not found or refused, 2 for a misspelt command, a Grape
//! that cannot be reached or one that cannot start.

mod args;
mod ask;
mod client;
mod gossip;
mod keys;
mod node;
mod output;
mod status;
mod values;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::{Generator, Shell};

pub use args::CheckAnnounced;
use args::{Cli, Command, KeyCommand};
use output::{Failure, Output};

use crate::variables;

/// Steps of tasks after which the runtime looks for events. With its default of 61, whoever asks beside
/// hundreds of busy connections is noticed late.
const EVENT_INTERVAL: u32 = 8;

/// The commands and flags of `grape`, for completions and manual pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// What makes a shell complete the commands and flags of a program.
pub fn completions(shell: Shell, command: &mut clap::Command) -> String {
    command.set_bin_name(command.get_name().to_owned());
    command.build();
    let mut text = Vec::new();
    shell.generate(command, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs the command with its arguments, the program's name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (cli, links) = match variables::parse::<Cli>(args) {
        Ok(parsed) => parsed,
        Err(error) => {
            // `--help` ends up here too. If it cannot be printed, the failure cannot be either.
            let _ = error.print();
            return exit_code(error.exit_code());
        }
    };
    // One thread serves tens of thousands of requests a second, and a second one would cost memory.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = match builder.event_interval(EVENT_INTERVAL).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Output::of_process().complain(&format!("cannot start: {error}"));
            return exit_code(2);
        }
    };
    let code = runtime.block_on(async {
        match cli.command {
            None => node::run(cli.node, &links).await,
            Some(command) => {
                let mut output = Output::of_process();
                links.iter().for_each(|link| output.complain(&link.to_string()));
                let format = command.format();
                let result = ask_grape(command, &mut output).await;
                exit_code(output.finish(result, format))
            }
        }
    });
    // A host name that is still being resolved is not waited for.
    runtime.shutdown_background();
    code
}

async fn ask_grape(command: Command, stdout: &mut Output) -> Result<bool, Failure> {
    match command {
        Command::Lookup { names, to } => ask::lookup(&names, &to, stdout).await,
        Command::Announce { name, port, to } => ask::announce(&name, port, &to, stdout).await,
        Command::Withdraw { name, port, to } => ask::withdraw(&name, port, &to, stdout).await,
        Command::Put { value, json, data, signing, to } => {
            let value = match data {
                Some(data) => ask::Stored::Data(data),
                None => ask::Stored::Value { text: value.unwrap_or_default(), is_json: json },
            };
            ask::put(value, &signing, &to, stdout).await
        }
        Command::Key { command: KeyCommand::New { file, output } } => {
            keys::new(&file, output, stdout)
        }
        Command::Key { command: KeyCommand::Show { file, output } } => {
            keys::show(&file, output, stdout)
        }
        Command::Get { hash, salt, to } => ask::get(&hash, salt.as_deref(), &to, stdout).await,
        Command::Watch { name, to } => watch::watch(&name, &to, stdout).await,
        Command::Gossip { command } => gossip::run(command, stdout).await,
        Command::Drain { to } => ask::drain(&to, stdout).await,
        Command::Status { names, to } => status::status(&names, &to, stdout).await,
        Command::Completions { shell } => {
            stdout.text(&completions(shell, &mut Cli::command()))?;
            Ok(true)
        }
    }
}

fn exit_code(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
