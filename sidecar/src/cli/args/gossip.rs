//! The subcommands of `grape gossip`.

use std::net::SocketAddr;

use clap::{Subcommand, ValueEnum};

use super::{Format, To};
use crate::cli::values::group;

/// What is done with a group.
#[derive(Debug, Subcommand)]
pub(crate) enum GossipCommand {
    /// Show the other members of a group
    Peers {
        /// Name of the group
        #[arg(value_parser = group)]
        group: String,
        /// Which members
        #[arg(long, value_name = "STATE", default_value = "all")]
        state: PeerState,
        #[command(flatten)]
        to: To,
    },
    /// Print a key of the Grape, or of another member; without a key, all of them
    Get {
        /// Name of the group
        #[arg(value_parser = group)]
        group: String,
        /// The key
        key: Option<String>,
        /// The member, by the UDP address of its Grape [default: the Grape itself]
        #[arg(long, value_name = "IP:PORT")]
        peer: Option<SocketAddr>,
        #[command(flatten)]
        to: To,
    },
    /// Set a key of the Grape, which joins the group if it is not in it
    Set {
        /// Name of the group
        #[arg(value_parser = group)]
        group: String,
        /// The key
        key: String,
        /// The value, as text
        value: String,
        /// The value is JSON: a list, an object or a number
        #[arg(long)]
        json: bool,
        /// In how long the key is gone, or when, as in 10s or 2030-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Unset a key of the Grape
    Unset {
        /// Name of the group
        #[arg(value_parser = group)]
        group: String,
        /// The key
        key: String,
        #[command(flatten)]
        to: To,
    },
    /// Follow the events of a group until stopped; the Grape joins the group if it is not in it
    Watch {
        /// Name of the group
        #[arg(value_parser = group)]
        group: String,
        #[command(flatten)]
        to: To,
    },
}

/// Which members are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerState {
    Live,
    Dead,
    All,
}

impl GossipCommand {
    /// How the answer is shown.
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Peers { to, .. }
            | Self::Get { to, .. }
            | Self::Set { to, .. }
            | Self::Unset { to, .. }
            | Self::Watch { to, .. } => to.output,
        }
    }
}
