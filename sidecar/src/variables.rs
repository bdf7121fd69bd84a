//! Environment variables that are not settings: empty ones, and Kubernetes' service links.
//!
//! An empty variable counts as unset: manifests often have them. In the pods of a namespace that has a
//! Service named `grape-api`, Kubernetes sets `GRAPE_API_PORT=tcp://…` (a service link).

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::{env, fmt};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Parser};

/// A variable that has the name of a setting, and that Kubernetes has set for a Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceLink {
    variable: String,
    value: String,
}

impl fmt::Display for ServiceLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value } = self;
        write!(
            f,
            "{variable}={value} is ignored: it is the link to a Kubernetes Service, not a port"
        )
    }
}

/// Parses a command line. Variables that are not settings are left out; the service links among them
/// are returned, to be logged.
///
/// # Errors
/// When a flag, or a variable that holds a setting, cannot be used.
pub fn parse<C: Parser>(
    args: impl IntoIterator<Item = OsString>,
) -> Result<(C, BTreeSet<ServiceLink>), clap::Error> {
    let value_of = |name: &OsStr| env::var_os(name);
    let (mut command, links) = settings_alone(C::command(), &value_of);
    let args: Vec<_> = args.into_iter().collect();
    let matches = command.try_get_matches_from_mut(&args);
    let mut matches = matches.map_err(|error| {
        // Arguments of other subcommands can be shown only once they are built.
        command.build();
        with_variable(error, &command, &args, &value_of)
    })?;
    let parsed = C::from_arg_matches_mut(&mut matches);
    Ok((parsed.map_err(|error| error.format(&mut command))?, links))
}

/// An error that names the variable from which a wrong value came, and not its flag alone.
fn with_variable(
    mut error: clap::Error,
    command: &Command,
    args: &[OsString],
    value_of: &dyn Fn(&OsStr) -> Option<OsString>,
) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let (Some(flag), Some(value)) =
        (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue))
    else {
        return error;
    };
    let given = args.iter().any(|arg| arg.to_string_lossy().contains(&value));
    let commands = std::iter::once(command).chain(command.get_subcommands());
    let of_flag = commands.flat_map(Command::get_arguments).find(|arg| arg.to_string() == flag);
    let named = of_flag.and_then(|arg| variable(arg, value_of));
    if let Some((name, _)) = named.filter(|(_, set)| !given && set.contains(&value)) {
        let tip = format!("the value is that of the environment variable {name}");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The command without the variables that are not settings, given the value of each variable.
fn settings_alone(
    command: Command,
    value_of: &dyn Fn(&OsStr) -> Option<OsString>,
) -> (Command, BTreeSet<ServiceLink>) {
    let mut links = BTreeSet::new();
    let command = command.mut_args(|arg| {
        let Some((name, value)) = variable(&arg, value_of) else { return arg };
        if value.trim().is_empty() {
            arg.env(None)
        } else if is_service_link(&name, &value) {
            links.insert(ServiceLink { variable: name, value });
            arg.env(None)
        } else {
            arg
        }
    });
    let command = command.mut_subcommands(|subcommand| {
        let (subcommand, more) = settings_alone(subcommand, value_of);
        links.extend(more);
        subcommand
    });
    (command, links)
}

/// The variable of an argument, when it is set to a text.
fn variable(arg: &Arg, value_of: &dyn Fn(&OsStr) -> Option<OsString>) -> Option<(String, String)> {
    let name = arg.get_env()?;
    Some((name.to_str()?.to_owned(), value_of(name)?.into_string().ok()?))
}

/// Whether Kubernetes sets this variable to this value for a Service: `NAME_PORT=SCHEME://…`.
fn is_service_link(variable: &str, value: &str) -> bool {
    let scheme = value.trim().split_once("://").map_or("", |(scheme, _)| scheme);
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    variable.ends_with("_PORT") && !scheme.is_empty() && scheme.bytes().all(is_scheme)
}

/// Whether Kubernetes sets a variable of this name for a Service to what could be taken for a
/// setting: an address or a number, not a URL. No setting may have such a name.
///
/// <https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables>
///
/// ```
/// use grape::variables::is_named_as_part_of_a_service;
///
/// assert!(is_named_as_part_of_a_service("GRAPE_SERVICE_HOST"));
/// assert!(!is_named_as_part_of_a_service("GRAPE_DHT_PORT"));
/// ```
#[must_use]
pub fn is_named_as_part_of_a_service(variable: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT"].iter().any(|end| variable.ends_with(end))
        || ["_SERVICE_PORT_", "_PORT_"].iter().any(|part| variable.contains(part))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn command() -> Command {
        let port = || Arg::new("port").long("port").env("GRAPE_API_PORT");
        let url = Arg::new("url").long("url").env("GRAPE_URL");
        Command::new("grape").arg(port()).subcommand(Command::new("ask").arg(port()).arg(url))
    }

    /// The variables that still count, of the command and its subcommands.
    fn counting(command: &Command) -> Vec<&str> {
        let own = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
        own.chain(command.get_subcommands().flat_map(counting)).collect()
    }

    #[rstest]
    #[case("", false, false)]
    #[case(" \t\n", false, false)]
    #[case("30001", true, true)]
    #[case("tcp://10.96.0.7:30001", false, true)]
    #[case("udp://10.96.0.7:30001", false, true)]
    #[case("sctp://10.96.0.7:30001", false, true)]
    #[case(" SCTP://[fd00::7]:30001", false, true)]
    #[case("h2c+x://10.96.0.7", false, true)]
    #[case("://10.96.0.7", true, true)]
    #[case("a b://10.96.0.7", true, true)]
    fn blank_variables_and_service_links_are_no_settings(
        #[case] value: &str,
        #[case] port: bool,
        #[case] url: bool,
    ) {
        let (command, links) = settings_alone(command(), &|_| Some(value.into()));
        let counting = counting(&command);
        assert_eq!(counting.contains(&"GRAPE_API_PORT"), port);
        assert_eq!(counting.contains(&"GRAPE_URL"), url);
        // One variable is one link, however many commands read it.
        assert_eq!(links.len(), usize::from(!port && url));
    }

    #[test]
    fn a_variable_that_is_not_set_stays() {
        let (command, links) = settings_alone(command(), &|_| None);
        assert_eq!(counting(&command), ["GRAPE_API_PORT", "GRAPE_API_PORT", "GRAPE_URL"]);
        assert!(links.is_empty());
    }

    #[rstest]
    #[case("GRAPE_API_PORT", false)]
    #[case("GRAPE_API_SERVICE_HOST", true)]
    #[case("GRAPE_API_SERVICE_PORT", true)]
    #[case("GRAPE_API_SERVICE_PORT_HTTP", true)]
    #[case("GRAPE_API_PORT_30001_TCP", true)]
    #[case("GRAPE_API_PORT_30001_TCP_ADDR", true)]
    fn names_of_services_are_known(#[case] variable: &str, #[case] of_a_service: bool) {
        assert_eq!(is_named_as_part_of_a_service(variable), of_a_service);
    }
}
