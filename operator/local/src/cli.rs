//! The command `local`, of `grape-local` and of `grape-operator`, and how both programs begin and end.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args as _, Command, Parser};
use grape::cli::CheckAnnounced;
use grape::log::Format;
use grape::nonblocking::NonBlocking;
use grape::variables::{self, is_named_as_part_of_a_service};
use grape_cluster::limits;
use tracing_subscriber::filter::Targets;

use crate::plan::{Choices, Ports};
use crate::show::Style;
use crate::{EXAMPLE, Ended, Options, log};

/// How long the program waits at its end for the reader of its output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The exit code that shells report for a command that SIGINT ended.
const EXIT_INTERRUPTED: u8 = 130;

/// The variable of the commands that ask a Grape, such as `grape lookup`. It may be set beside a
/// local cluster.
const OF_COMMANDS: &str = "GRAPE_URL";

/// The flags of the command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = after_help())]
pub struct Args {
    /// A file with the GrapeCluster to run; - reads standard input [default: three Grapes].
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,

    /// How many Grapes to run, whatever the file says.
    #[arg(long, value_name = "N", value_parser = replicas)]
    replicas: Option<usize>,

    /// TCP ports of the APIs: one for each Grape, or only the first [default: from spec.api.port up].
    #[arg(long, value_name = "PORT,…", value_delimiter = ',', value_parser = port)]
    api_ports: Vec<u16>,

    /// UDP ports of the DHT: one for each Grape, or only the first [default: from spec.dht.port up].
    #[arg(long, value_name = "PORT,…", value_delimiter = ',', value_parser = port)]
    dht_ports: Vec<u16>,

    #[command(flatten)]
    check: CheckAnnounced,

    /// What to log: a level, or levels of modules, such as info or warn,grape=debug.
    #[arg(
        long,
        value_name = "FILTER",
        env = "GRAPE_LOG",
        default_value = "warn",
        value_parser = grape::log::filter
    )]
    log: Targets,
}

fn after_help() -> String {
    let example = EXAMPLE.lines().map(|line| format!("  {line}\n")).collect::<String>();
    format!(
        "Without a file, three Grapes run with the values below, but without bootstrap and network. \
         This file has every field that local mode uses; each has a default:\n\n{example}\n\
         Fields about pods, such as spec.image and spec.pools, are checked but not used.\n\
         The command grape runs a single Grape, without a file: see grape --help."
    )
}

fn replicas(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().filter(|number| limits::REPLICAS.contains(number));
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("expected {}", limits::expected_number(&limits::REPLICAS)))
}

fn port(text: &str) -> Result<u16, &'static str> {
    let port = text.trim().parse().ok().filter(|port| *port > 0);
    port.ok_or("expected ports from 1 to 65535, separated by commas, as in 30001,40001,50001")
}

/// Reads the program's flags, runs the command, and logs why it failed.
pub async fn main<Cli: Parser>(run: impl AsyncFnOnce(Cli) -> anyhow::Result<ExitCode>) -> ExitCode {
    // No variable of these programs has a name that Kubernetes sets for a Service, so there are no
    // warnings to show.
    let cli = match variables::parse::<Cli>(env::args_os()) {
        Ok((cli, _)) => cli,
        Err(error) => error.exit(),
    };
    match run(cli).await {
        Ok(code) => code,
        Err(error) => {
            grape::log::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a cluster here until it is stopped.
///
/// # Errors
///
/// What keeps the cluster from running, for people to read.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let _log = log::to_stderr(&args.log, log::SILENCE, Format::Text)?;
    // The Grapes run on this thread: they must not wait for a slow reader of the output.
    let mut out = NonBlocking::new("output", io::stdout())?;
    let style = if io::stdout().is_terminal() { Style::Boxed } else { Style::Plain };
    let choices = Choices {
        replicas: args.replicas,
        ports: Ports { api: args.api_ports, dht: args.dht_ports },
        check_announced: args.check.check_announced,
    };
    let ignored = ignored(env::vars_os());
    let options = Options { file: args.file, choices, ignored, style };
    let ended = crate::run(&options, &mut out).await;
    out.drain(LAST_WORDS);
    Ok(match ended? {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::AtOnce => ExitCode::from(EXIT_INTERRUPTED),
    })
}

/// Which variables are set that look as if they were for a Grape here, and that nothing reads.
fn ignored(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    let command = Args::augment_args(Command::new("local"));
    let read = |name: &str| command.get_arguments().any(|arg| arg.get_env() == Some(name.as_ref()));
    let names = variables.into_iter().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.to_string_lossy().into_owned());
        // Kubernetes sets such variables for a Service named grape-…, so they are not settings.
        let is_wish = !value.trim().is_empty()
            && !value.contains("://")
            && !is_named_as_part_of_a_service(&name);
        let ours = name.starts_with("GRAPE_") && name != OF_COMMANDS && !read(&name);
        (ours && is_wish).then_some(name)
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Parser)]
    struct Local {
        #[command(flatten)]
        args: Args,
    }

    fn parse(flag: &str) -> Result<Args, String> {
        let parsed = Local::try_parse_from(["local", flag]);
        parsed.map(|local| local.args).map_err(|error| error.to_string())
    }

    #[test]
    fn unused_variables_are_reported() {
        let set = [
            ("GRAPE_DHT_PORT", "20005"),
            ("GRAPE_BOOTSTRAP", "127.0.0.1:20001"),
            ("GRAPE_CHECK_ANNOUNCED", "false"),
            ("GRAPE_LOG", "info"),
            ("GRAPE_URL", "http://127.0.0.1:30001"),
            ("GRAPE_NETWORK", " "),
            ("GRAPE_API_PORT", "tcp://10.96.0.7:30001"),
            ("GRAPE_API_SERVICE_HOST", "10.96.0.7"),
            ("PATH", "/bin"),
        ];
        let set = set.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(ignored(set), ["GRAPE_BOOTSTRAP", "GRAPE_DHT_PORT"]);
    }

    #[rstest]
    #[case("--replicas=0", "expected a whole number from 1 to 1000")]
    #[case("--replicas=1001", "expected a whole number from 1 to 1000")]
    #[case("--replicas=three", "expected a whole number from 1 to 1000")]
    #[case("--check-announced=maybe", "expected true or false")]
    #[case("--log=verbose", "\"verbose\" is no level: off, error, warn, info, debug or trace")]
    #[case("--api-ports=0", "expected ports from 1 to 65535")]
    fn errors_of_bad_flags_say_what_would_be_right(#[case] flag: &str, #[case] part: &str) {
        let error = parse(flag).unwrap_err();
        assert!(error.contains(part), "{error}");
    }

    #[rstest]
    #[case("--check-announced", true)]
    #[case("--check-announced=false", false)]
    #[case("--check-announced=off", false)]
    #[case("--replicas=1", true)]
    fn services_are_tried_unless_a_flag_says_otherwise(#[case] flag: &str, #[case] tried: bool) {
        assert_eq!(parse(flag).unwrap().check.check_announced, tried);
    }
}
