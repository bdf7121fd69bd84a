//! Hosts that a test makes: network namespaces with interfaces and addresses of their own. It takes
//! no root, but a kernel that lets users make namespaces. They end with the test.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::our_grape;
use crate::process::Process;
use crate::wait;

/// What keeps a host's namespaces, at most so long: nothing is left behind by a test that is killed.
const KEEPER: &str = "ip link set lo up && echo up && exec sleep 600";

/// A host, with loopback alone at first.
#[derive(Debug)]
pub struct Host {
    name: &'static str,
    /// Dropped, it ends, and the namespace with it once no Grape runs there.
    _keeper: Process,
    pid: u32,
}

impl Host {
    /// A host that is connected to nothing.
    ///
    /// # Errors
    /// When the kernel refuses, or `unshare` (util-linux) or `ip` (iproute2) is missing.
    pub async fn new(name: &'static str) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "sh", "-c", KEEPER]);
        Self::kept(name, command).await
    }

    /// Another host, which may be connected to this one.
    ///
    /// # Errors
    /// As [`Host::new`].
    pub async fn neighbour(&self, name: &'static str) -> Result<Self> {
        let mut command = self.command("unshare");
        command.args(["--net", "sh", "-c", KEEPER]);
        Self::kept(name, command).await
    }

    async fn kept(name: &'static str, mut command: Command) -> Result<Self> {
        let mut keeper = Process::start(format!("host {name}"), &mut command)?;
        keeper.next("that loopback is up", |line| (line == "up").then_some(())).await?;
        let pid = keeper.pid().with_context(|| format!("host {name} has ended"))?;
        Ok(Self { name, _keeper: keeper, pid })
    }

    /// A program that runs on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.pid.to_string();
        command.args(["--target", &target, "--user", "--net", "--preserve-credentials", "--"]);
        command.arg(program);
        command
    }

    /// Runs a shell's line on this host.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn run(&self, line: &str) -> Result<String> {
        let output = self.command("sh").args(["-e", "-c", line]).output().await?;
        ensure!(output.status.success(), "on host {}: {line}: {}", self.name, said(&output));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Connects two hosts by a cable: each has an interface of this name then, up, and without
    /// addresses.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn connect(&self, other: &Self, interface: &str) -> Result<()> {
        let peer = other.pid;
        self.run(&format!(
            "ip link add name {interface} type veth peer name {interface} netns {peer}"
        ))
        .await?;
        for host in [self, other] {
            // No address that the kernel makes up, which would have to be waited for.
            let up =
                format!("ip link set {interface} addrgenmode none && ip link set {interface} up");
            host.run(&up).await?;
        }
        Ok(())
    }

    /// Gives an interface an address, to be used at once.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn add_address(&self, address: &str, interface: &str) -> Result<()> {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        self.run(&format!("ip address add {address} dev {interface} {nodad}")).await.map(drop)
    }

    /// Starts a Grape on this host, with the flags of our command, at the usual ports.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn grape(&self, flags: &[&str]) -> Result<HostedGrape<'_>> {
        let mut command = self.command(our_grape::binary()?);
        command.args(flags);
        let process = Process::start(format!("the Grape of host {}", self.name), &mut command)?;
        let mut grape = HostedGrape { host: self, process };
        wait::until(&format!("the Grape of host {} answers", self.name), async || {
            if let Some(ended) = grape.process.has_ended()? {
                return Ok(Err(ended));
            }
            grape.status().await.map(Ok)
        })
        .await?
        .map_err(|ended| anyhow::anyhow!("it ended: {ended}"))
        .with_context(|| grape.process.shown())?;
        Ok(grape)
    }
}

/// A Grape on a host, asked by our command on the same host.
#[derive(Debug)]
pub struct HostedGrape<'a> {
    host: &'a Host,
    /// Its process.
    pub process: Process,
}

impl HostedGrape<'_> {
    async fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.host.command(our_grape::binary()?);
        let output = command.args(arguments).args(["--output", "json"]).output().await?;
        // 1 is an answer too: that nothing was found. With 2, what is printed is why there is none.
        let answered = matches!(output.status.code(), Some(0 | 1));
        ensure!(answered, "grape {arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("grape {arguments:?}: {}", said(&output)))
    }

    /// The Grape's status.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Value> {
        self.ask(&["status"]).await
    }

    /// How many other nodes its routing table holds.
    ///
    /// # Errors
    /// When the Grape does not say.
    pub async fn nodes(&self) -> Result<u64> {
        self.status().await?["nodes"].as_u64().context("/status tells no nodes")
    }

    /// The peers of a name, as they are shown.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn lookup(&self, name: &str) -> Result<BTreeSet<String>> {
        let found = self.ask(&["lookup", name]).await?;
        Ok(serde_json::from_value(found[name].clone())?)
    }

    /// Announces a name. Answers how many other nodes hold it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn announce(&self, name: &str, port: u16) -> Result<u64> {
        let held = self.ask(&["announce", name, &port.to_string()]).await?;
        held["holders"].as_u64().with_context(|| format!("announce answered {held}"))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}
