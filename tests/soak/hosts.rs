//! Six hosts: a network namespace each, with a cable to the network that may fail, and another one by
//! which its API is reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use grape_tests::process::Process;
use tokio::process::Command;

/// How many hosts there are.
pub(crate) const HOSTS: usize = 6;

/// What keeps a namespace: longer than any run.
const KEEPER: &str = "ip link set lo up && echo up && exec sleep 3600";

/// The hosts, and the two bridges of this namespace that connect them.
#[derive(Debug)]
pub(crate) struct Hosts {
    keepers: Vec<Process>,
}

/// Runs a shell's line in this namespace.
async fn run(line: &str) -> Result<()> {
    let output = Command::new("sh").args(["-e", "-c", line]).output().await?;
    ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl Hosts {
    /// Makes them, all connected.
    pub(crate) async fn new() -> Result<Self> {
        run("ip link add name near type bridge && ip link set dev near up").await?;
        run("ip link add name far type bridge && ip link set dev far up").await?;
        let mut keepers = Vec::new();
        for host in 0..HOSTS {
            let mut command = Command::new("unshare");
            command.args(["--net", "sh", "-c", KEEPER]);
            let mut keeper = Process::start(format!("host {host}"), &mut command)?;
            keeper.next("that loopback is up", |line| (line == "up").then_some(())).await?;
            let pid = keeper.pid().context("a host has ended")?;
            let (dht, api) = (dht(host), api(host));
            for cable in ["data", "api"] {
                run(&format!(
                    "ip link add name {cable}{host} type veth peer name {cable} netns {pid} && \
                     ip link set dev {cable}{host} up"
                ))
                .await?;
            }
            run(&format!(
                "ip link set dev data{host} master near && \
                 ip address add 10.79.{host}.254/24 dev api{host} && \
                 nsenter --target {pid} --net sh -e -c '\
                 ip address add {}/24 dev data && ip link set dev data up && \
                 ip address add {}/24 dev api && ip link set dev api up'",
                dht.ip(),
                api.ip()
            ))
            .await?;
            keepers.push(keeper);
        }
        Ok(Self { keepers })
    }

    /// A program on a host.
    pub(crate) fn command(&self, host: usize, program: &[&str]) -> Result<Command> {
        let pid = self.keepers[host].pid().context("the host has ended")?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid.to_string(), "--net", "--"]).args(program);
        Ok(command)
    }

    /// From now on each packet that comes to a host over the network is lost with a probability of a
    /// fifth, or none is. By a rule of iptables: not every kernel has netem.
    pub(crate) async fn lose(&self, lossy: bool) -> Result<()> {
        let rule = "INPUT -i data -m statistic --mode random --probability 0.2 -j DROP";
        let verb = if lossy { "--append" } else { "--delete" };
        for host in 0..HOSTS {
            let line = format!("XTABLES_LOCKFILE=/dev/null iptables {verb} {rule}");
            let output = self.command(host, &["sh", "-c", &line])?.output().await?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "on host {host}: {line}: {said}");
        }
        Ok(())
    }

    /// From now on the later half of the hosts is cut off from the other, or not.
    pub(crate) async fn part(&self, apart: bool) -> Result<()> {
        let bridge = if apart { "far" } else { "near" };
        for host in HOSTS / 2..HOSTS {
            run(&format!("ip link set dev data{host} master {bridge}")).await?;
        }
        Ok(())
    }
}

/// Where the Grape of a host has its DHT.
pub(crate) fn dht(host: usize) -> SocketAddr {
    let ip = Ipv4Addr::new(10, 78, 0, host as u8 + 1);
    SocketAddr::new(IpAddr::V4(ip), 20001)
}

/// Where it has its API.
pub(crate) fn api(host: usize) -> SocketAddr {
    let ip = Ipv4Addr::new(10, 79, host as u8, 1);
    SocketAddr::new(IpAddr::V4(ip), 30001)
}
