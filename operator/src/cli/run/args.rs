//! The flags of `grape-operator run`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::{NonEmptyStringValueParser, RangedU64ValueParser};
use grape::log::Format;
use tracing_subscriber::filter::Targets;

use super::values::{Bind, Namespaces, duration, namespace, object_name, service_name};
use crate::config::{Component, OperatorConfig, WebhookConfig};
use crate::leader::Timings;

/// Shortest `--observe-interval`: Grapes are asked this often.
const SHORTEST_OBSERVE: Duration = Duration::from_secs(1);

/// Bounds of `--webhook-certificate-lifetime`: within the shortest, several API servers receive a
/// new CA bundle; the longest is ten years.
const LIFETIMES: RangeInclusive<Duration> =
    Duration::from_secs(5)..=Duration::from_secs(10 * 365 * 24 * 3600);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Namespaces whose GrapeClusters to run, separated by commas [default: all].
    #[arg(long, value_name = "NAMESPACE,…", env = "WATCH_NAMESPACES", default_value = "")]
    watch_namespaces: Namespaces,

    /// What this process runs. The other part then runs in another process, with the same names of
    /// the Lease and of the webhook.
    #[arg(long, value_name = "COMPONENT", env = "COMPONENT", default_value = "all")]
    component: Component,

    /// The image of Grapes of a GrapeCluster without spec.image.
    #[arg(
        long,
        value_name = "IMAGE",
        env = "GRAPE_IMAGE",
        default_value = concat!("grenache/grape:", env!("CARGO_PKG_VERSION")),
        value_parser = NonEmptyStringValueParser::new()
    )]
    grape_image: String,

    /// The namespace of the Lease and of the operator's own pods [default: the pod's, or the
    /// kubeconfig's].
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE", value_parser = namespace)]
    namespace: Option<String>,

    /// This replica's name in the Lease; each replica needs another one [default: the host's name with
    /// a random suffix].
    #[arg(
        long,
        value_name = "NAME",
        env = "POD_NAME",
        value_parser = NonEmptyStringValueParser::new()
    )]
    identity: Option<String>,

    /// The Lease by which the replicas elect a leader.
    #[arg(
        long,
        value_name = "NAME",
        env = "LEASE_NAME",
        default_value = "grape-operator",
        value_parser = object_name
    )]
    lease_name: String,

    /// How long the other replicas wait for a leader that does not renew the Lease.
    #[arg(
        long,
        value_name = "DURATION",
        env = "LEASE_DURATION",
        default_value = "15s",
        value_parser = duration
    )]
    lease_duration: Duration,

    /// How long a leader may lead after it last renewed the Lease; shorter than --lease-duration.
    #[arg(
        long,
        value_name = "DURATION",
        env = "RENEW_DEADLINE",
        default_value = "10s",
        value_parser = duration
    )]
    renew_deadline: Duration,

    /// How often the leader renews the Lease; shorter than --renew-deadline.
    #[arg(
        long,
        value_name = "DURATION",
        env = "RETRY_PERIOD",
        default_value = "2s",
        value_parser = duration
    )]
    retry_period: Duration,

    /// Address and port of /healthz, /readyz and /metrics; [::] is every address, IPv4 too.
    #[arg(long, value_name = "IP:PORT", env = "ADMIN_BIND", default_value = "[::]:9090")]
    admin_bind: SocketAddr,

    /// Address and port of the webhook, which injects sidecars; [::] is every address, IPv4 too. With
    /// `none`, or an empty value, there is no webhook.
    #[arg(long, value_name = "IP:PORT", env = "WEBHOOK_BIND", default_value = "[::]:9443")]
    webhook_bind: Bind,

    /// The name of the Service through which API servers call the webhook. The Secret with the
    /// certificate is NAME-tls.
    #[arg(
        long,
        value_name = "NAME",
        env = "WEBHOOK_NAME",
        default_value = "grape-operator-webhook",
        value_parser = service_name
    )]
    webhook_name: String,

    /// The name of the MutatingWebhookConfiguration [default: the name of --webhook-name, a dot, and the
    /// operator's namespace].
    #[arg(long, value_name = "NAME", env = "WEBHOOK_CONFIGURATION", value_parser = object_name)]
    webhook_configuration: Option<String>,

    /// A folder with tls.crt and tls.key, which are read again when they change. Without it the
    /// operator issues the webhook's certificate, and updates the webhook's CA bundle.
    #[arg(long, value_name = "DIR", env = "WEBHOOK_CERTIFICATES")]
    webhook_certificates: Option<PathBuf>,

    /// How long a certificate is valid that the operator issues, in whole seconds. The operator issues
    /// the next one after two thirds of that time.
    #[arg(
        long,
        value_name = "DURATION",
        env = "WEBHOOK_CERTIFICATE_LIFETIME",
        default_value = "2160h",
        value_parser = duration
    )]
    webhook_certificate_lifetime: Duration,

    /// How often to ask the Grapes of a cluster for their status.
    #[arg(
        long,
        value_name = "DURATION",
        env = "OBSERVE_INTERVAL",
        default_value = "15s",
        value_parser = duration
    )]
    observe_interval: Duration,

    /// How many GrapeClusters may be reconciled at once.
    #[arg(
        long,
        value_name = "N",
        env = "CONCURRENCY",
        default_value = "8",
        value_parser = RangedU64ValueParser::<u16>::new().range(1..=1000)
    )]
    concurrency: u16,

    /// What to log: a level, or levels of modules, such as info or warn,grape_operator=debug.
    #[arg(
        long,
        value_name = "FILTER",
        env = "GRAPE_LOG",
        default_value = "info",
        value_parser = grape::log::filter
    )]
    pub(super) log: Targets,

    /// Format of the log.
    #[arg(long, value_name = "FORMAT", env = "GRAPE_LOG_FORMAT", default_value = "json")]
    pub(super) log_format: Format,
}

impl Args {
    /// What these flags ask for of the webhook; `None`: there is none.
    fn webhook(&self) -> anyhow::Result<Option<WebhookConfig>> {
        let Some(bind) = self.webhook_bind.0 else {
            anyhow::ensure!(
                self.component != Component::Webhook,
                "--component is webhook, and --webhook-bind names no address; expected one, as in \
                 [::]:9443"
            );
            return Ok(None);
        };
        let lifetime = self.webhook_certificate_lifetime;
        anyhow::ensure!(
            LIFETIMES.contains(&lifetime) && lifetime.subsec_nanos() == 0,
            "--webhook-certificate-lifetime is {lifetime:?}; expected whole seconds, from {}s to {}h",
            LIFETIMES.start().as_secs(),
            LIFETIMES.end().as_secs() / 3600,
        );
        Ok(Some(WebhookConfig {
            bind,
            name: self.webhook_name.clone(),
            configuration_name: self.webhook_configuration.clone(),
            certificates: self.webhook_certificates.clone(),
            lifetime,
        }))
    }

    /// What these flags ask for.
    pub(super) fn config(self) -> anyhow::Result<OperatorConfig> {
        let webhook = self.webhook()?;
        let timings = Timings::new(self.lease_duration, self.renew_deadline, self.retry_period)?;
        anyhow::ensure!(
            self.observe_interval >= SHORTEST_OBSERVE,
            "--observe-interval is {:?}; expected a duration of at least {SHORTEST_OBSERVE:?}",
            self.observe_interval
        );
        let identity = match self.identity {
            Some(identity) => identity,
            None => identity_of_host()?,
        };
        Ok(OperatorConfig {
            component: self.component,
            watch_namespaces: self.watch_namespaces.0,
            grape_image: self.grape_image,
            namespace: self.namespace,
            identity,
            lease: self.lease_name,
            timings,
            admin: self.admin_bind,
            observe_interval: self.observe_interval,
            concurrency: self.concurrency,
            webhook,
        })
    }
}

/// Another one for each process, also for those of one host.
fn identity_of_host() -> anyhow::Result<String> {
    let host = hostname::get().context("the host has no name; name the process with --identity")?;
    Ok(format!("{}-{:08x}", host.to_string_lossy(), rand::random::<u32>()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(flags: &[&str]) -> Result<OperatorConfig, String> {
        let words = ["run"].into_iter().chain(flags.iter().copied()).map(OsString::from);
        let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
        command.args.config().map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn defaults_are_those_of_kubernetes() {
        let config = parse(&[]).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!(config.watch_namespaces, [""; 0]);
        assert!(config.grape_image.starts_with("grenache/grape:"));
        assert_eq!(config.namespace, None);
        assert_eq!(config.lease, "grape-operator");
        assert_eq!(config.timings, Timings::new(seconds(15), seconds(10), seconds(2)).unwrap());
        assert_eq!(config.admin, "[::]:9090".parse().unwrap());
        assert_eq!((config.observe_interval, config.concurrency), (seconds(15), 8));
    }

    #[test]
    fn the_webhook_is_served_by_default() {
        let webhook = parse(&[]).unwrap().webhook.unwrap();
        assert_eq!(webhook.bind, "[::]:9443".parse().unwrap());
        assert_eq!(webhook.name, "grape-operator-webhook");
        assert_eq!(webhook.configuration("ops"), "grape-operator-webhook.ops");
        assert_eq!(webhook.certificates, None);
        assert_eq!(webhook.lifetime, Duration::from_secs(90 * 24 * 3600));
        assert_eq!(parse(&["--webhook-bind="]).unwrap().webhook, None);
        assert_eq!(parse(&["--webhook-bind=none"]).unwrap().webhook, None);
    }

    #[test]
    fn the_configuration_may_have_a_name_that_is_not_of_the_namespace() {
        let webhook = parse(&["--webhook-configuration=hook.one"]).unwrap().webhook.unwrap();
        assert_eq!(webhook.configuration("two"), "hook.one");
    }

    #[test]
    fn a_controller_alone_knows_the_webhook_and_does_not_serve_it() {
        let served = |flags: &[&str]| {
            let config = parse(flags).unwrap();
            (config.webhook.is_some(), config.served_webhook().is_some())
        };
        assert_eq!(served(&[]), (true, true));
        assert_eq!(served(&["--component=controller"]), (true, false));
        assert_eq!(served(&["--component=controller", "--webhook-bind=none"]), (false, false));
        assert_eq!(served(&["--component=webhook"]), (true, true));
        let error = parse(&["--component=webhook", "--webhook-bind=none"]).unwrap_err();
        assert!(error.contains("--webhook-bind names no address; expected one"), "{error}");
    }

    #[test]
    fn two_processes_of_a_host_have_two_identities() {
        assert_ne!(parse(&[]).unwrap().identity, parse(&[]).unwrap().identity);
    }

    #[rstest]
    #[case("", &[])]
    #[case(" ,", &[])]
    #[case("prod", &["prod"])]
    #[case("prod, test,", &["prod", "test"])]
    fn namespaces_are_parted_by_commas(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(parse(&["--watch-namespaces", text]).unwrap().watch_namespaces, expected);
    }

    #[rstest]
    #[case(&["--lease-duration", "15"], "has no unit; expected a duration as in 15s")]
    #[case(&["--retry-period", "soon"], "is not a duration; expected a duration as in 15s")]
    #[case(&["--lease-duration", "5s"], "--renew-deadline is 10s; expected a duration below")]
    #[case(&["--retry-period", "10s"], "--retry-period is 10s; expected a duration below")]
    #[case(&["--observe-interval", "0s"], "--observe-interval is 0ns; expected a duration of at")]
    #[case(&["--concurrency", "0"], "0 is not in 1..=1000")]
    #[case(&["--watch-namespaces", "prod,Test"], "\"Test\" is no namespace; expected lower-case")]
    #[case(&["--namespace", "a/b"], "\"a/b\" is no namespace; expected lower-case letters")]
    #[case(&["--lease-name", "a..b"], "expected lower-case letters, digits, '-' and '.'")]
    #[case(&["--identity", ""], "--identity")]
    #[case(&["--admin-bind", "9090"], "invalid value '9090' for '--admin-bind <IP:PORT>'")]
    #[case(&["--webhook-bind", "9443"], "invalid value '9443' for '--webhook-bind <IP:PORT>'")]
    #[case(&["--webhook-name", "a.b"], "\"a.b\" is no name of a Service; expected lower-case")]
    #[case(&["--webhook-configuration", "A"], "expected lower-case letters, digits, '-' and '.'")]
    #[case(&["--webhook-certificate-lifetime", "4s"], "is 4s; expected whole seconds, from 5s to 876")]
    #[case(&["--webhook-certificate-lifetime", "7500ms"], "is 7.5s; expected whole seconds")]
    #[case(&["--log", "verbose"], "\"verbose\" is no level: off, error, warn, info, debug or trace")]
    #[case(&["--component", "both"], "[possible values: all, controller, webhook]")]
    #[case(&["--log-format", "xml"], "[possible values: text, json]")]
    fn errors_of_bad_flags_say_what_would_be_right(#[case] flags: &[&str], #[case] part: &str) {
        let error = parse(flags).unwrap_err();
        assert!(error.contains(part), "{error}");
        assert!(error.contains(flags[0]) || error.contains("--renew-deadline"), "{error}");
    }
}
