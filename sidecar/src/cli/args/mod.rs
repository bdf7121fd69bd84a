//! The command line: npm's flags, ours, and the subcommands.

mod commands;
mod gossip;
mod node;
#[cfg(test)]
mod tests;

use clap::Parser;

pub(crate) use commands::{Command, Format, KeyCommand, SigningArgs, To};
pub(crate) use gossip::{GossipCommand, PeerState};
pub use node::CheckAnnounced;
pub(crate) use node::NodeArgs;

/// The command `grape`.
#[derive(Debug, Parser)]
#[command(
    name = "grape",
    version,
    about = "A Grape: a node of the Grenache DHT with a small HTTP API. Without a command, `grape` \
             runs a Grape until it is stopped. It has the flags of npm's grenache-grape; each can \
             be set by an environment variable too.",
    args_conflicts_with_subcommands = true,
    allow_negative_numbers = true,
    subcommand_help_heading = "Ask a Grape that runs",
    override_usage = "grape [--dp <port>] [--aph <port>] [--bn <nodes>] [-b <ip>] [options]\n       grape <command>",
    after_help = "\
Examples:
  Three Grapes on one machine:
    grape --dp 20001 --aph 30001 --bn '127.0.0.1:20002,127.0.0.1:20003' -b 127.0.0.1
    grape --dp 20002 --aph 40001 --bn '127.0.0.1:20001,127.0.0.1:20003' -b 127.0.0.1
    grape --dp 20003 --aph 50001 --bn '127.0.0.1:20001,127.0.0.1:20002' -b 127.0.0.1 --dc 32

  Announce and find a service, and show what a Grape knows:
    grape announce rpc_test 7001
    grape lookup rpc_test --grape http://127.0.0.1:40001
    grape status

  Announce a service that does not use Grenache, while it is ready:
    grape --announce rpc_test:7001 --ready-when http://127.0.0.1:8080/healthz

There is no configuration file; use the environment variables instead."
)]
pub(crate) struct Cli {
    /// What to ask; a Grape runs when there is nothing.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The Grape to run.
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}
