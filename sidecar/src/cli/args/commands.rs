//! The subcommands, which ask a Grape that runs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::gossip::GossipCommand;
use crate::cli::client::Url;
use crate::cli::values::{hash, name, port};

/// What a Grape that runs can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the instances of a service: the peers that announced its name
    Lookup {
        /// Names of services
        #[arg(required = true, value_name = "NAME", value_parser = name)]
        names: Vec<String>,
        #[command(flatten)]
        to: To,
    },
    /// Announce a service once. It stays announced while its port answers. If the port never answers,
    /// the announce expires after the Grape's --dht_peer_maxAge (default 120 s), and lookups may show
    /// the service twice as long
    Announce {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        /// Port of the service on the Grape's host; 0 announces the Grape's own DHT port
        #[arg(value_parser = port)]
        port: u16,
        #[command(flatten)]
        to: To,
    },
    /// Withdraw a service that was announced at this Grape
    Withdraw {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        /// Port of the service
        #[arg(value_parser = port)]
        port: u16,
        #[command(flatten)]
        to: To,
    },
    /// Store a value in the DHT, and print its hash
    #[command(override_usage = "\
grape put <VALUE> [--json] [--key <FILE> [--seq <N>] [--salt <SALT>]]
       grape put --data <JSON>")]
    Put {
        /// The value, as text; - reads it from standard input
        #[arg(required_unless_present = "data", conflicts_with = "data")]
        value: Option<String>,
        /// The value is JSON: a list, an object or a number
        #[arg(long, requires = "value")]
        json: bool,
        /// The data of the whole request, as JSON; a signed item has v, k, sig, seq, salt and cas
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        #[command(flatten)]
        signing: SigningArgs,
        #[command(flatten)]
        to: To,
    },
    /// Make a key that signs values, or show its public part
    Key {
        /// What to do
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Print a stored value
    Get {
        /// The hash that `put` printed: 40 hex digits
        #[arg(value_parser = hash)]
        hash: String,
        /// The salt that the signed value was stored with; without it `get` finds nothing
        #[arg(long)]
        salt: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Follow the instances of a service until stopped: print all of them now and at each change
    Watch {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        to: To,
    },
    /// Show and set what the members of a group share: see docs/gossip.md
    Gossip {
        /// What to do
        #[command(subcommand)]
        command: GossipCommand,
    },
    /// Withdraw every service announced at the Grape of this host, and accept no more until that Grape
    /// restarts; lookups still work
    Drain {
        #[command(flatten)]
        to: To,
    },
    /// Show the state of a Grape: which nodes it knows, and what it stores
    Status {
        /// Show only the peers of these names
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        to: To,
    },
    /// Print what makes a shell complete commands and flags of `grape`
    Completions {
        /// The shell; bash loads this by: source <(grape completions bash)
        shell: Shell,
    },
}

/// How a value is signed. Under one key and salt there is one value at a time: the one with the
/// highest `--seq`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SigningArgs {
    /// Sign the value with the key in this file, so that you can replace the value later; `grape key`
    /// makes one
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) key: Option<PathBuf>,
    /// The version of a signed value [default: the version of the stored one plus 1]
    #[arg(long, value_name = "N", requires = "key")]
    pub(crate) seq: Option<i64>,
    /// Distinguishes several values of one key; give it to `get` too
    #[arg(
        long,
        value_name = "SALT",
        requires = "key",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) salt: String,
}

/// What is done with a key.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key: write the secret key into the file, and print the public key
    New {
        /// The file to write (PEM, as OpenSSL, Node.js and Python read it); it must not exist yet
        file: PathBuf,
        /// Format of the answer
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
    /// Print the public key
    Show {
        /// The file with the secret key
        file: PathBuf,
        /// Format of the answer
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
}

impl Command {
    /// How the answer is shown.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Lookup { to, .. }
            | Self::Announce { to, .. }
            | Self::Withdraw { to, .. }
            | Self::Put { to, .. }
            | Self::Get { to, .. }
            | Self::Watch { to, .. }
            | Self::Drain { to }
            | Self::Status { to, .. } => to.output,
            Self::Gossip { command } => command.format(),
            Self::Key {
                command: KeyCommand::New { output, .. } | KeyCommand::Show { output, .. },
            } => *output,
            Self::Completions { .. } => Format::Text,
        }
    }
}

/// How an answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Which Grape is asked, and how its answer is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct To {
    /// The Grape to ask
    #[arg(
        long,
        value_name = "URL",
        env = "GRAPE_URL",
        help = "The Grape to ask [default: http://127.0.0.1 at the port of --api_port]"
    )]
    grape: Option<Url>,

    /// The port of a Grape on this host
    #[arg(
        long = "api_port", visible_alias = "aph", alias = "api-port", value_name = "PORT",
        env = "GRAPE_API_PORT", default_value = "30001",
        value_parser = port
    )]
    api_port: u16,

    /// Format of the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

impl To {
    /// Where the Grape to ask is: where it is said to be, else on this host.
    pub(crate) fn url(&self) -> Url {
        self.grape.clone().unwrap_or_else(|| Url::of_this_host(self.api_port))
    }
}
