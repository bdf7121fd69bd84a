//! Three npm Grapes and three of ours, side by side in one run: rates, memory, and lookups
//! after a death, as ratios. It asserts that answers are right, and no figure. Ends by itself in
//! about a minute.
//!
//! `cargo build --release -p grape && cargo bench -p grape-tests --bench grapes`

#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use grape_tests::grape::{Grape, Kind};
use grape_tests::network::{Network, Shape};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const CONNECTIONS: usize = 16;
/// One measurement, of which each case has [`ROUNDS`] for each kind, in turn.
const ROUND: Duration = Duration::from_millis(1000);
const ROUNDS: usize = 3;
const KINDS: [Kind; 2] = [Kind::Npm, Kind::Ours];

/// A request by its number, and what its answer must contain.
struct Case {
    name: &'static str,
    verb: &'static str,
    data: fn(u64) -> String,
    right: &'static str,
}

const CASES: [Case; 6] = [
    Case {
        name: "lookup, one name",
        verb: "lookup",
        data: |_| r#""hot""#.to_owned(),
        right: r#"["127.0.0.1:7001"]"#,
    },
    Case {
        name: "lookup, a new name each",
        verb: "lookup",
        data: |n| format!(r#""nobody:{n}""#),
        right: "[]",
    },
    Case {
        name: "announce, one name",
        verb: "announce",
        data: |_| r#"["hot",7001]"#.to_owned(),
        right: "2",
    },
    Case {
        name: "announce, a new name each",
        verb: "announce",
        data: |n| format!(r#"["new:{n}",7001]"#),
        right: "2",
    },
    Case {
        name: "put, a new value each",
        verb: "put",
        data: |n| format!(r#"{{"v":"value {n}"}}"#),
        right: "\"",
    },
    Case {
        name: "get, held locally",
        verb: "get",
        data: |_| r#""e28910ea0adb94dd45ced75fbff3e135c01bc437""#.to_owned(),
        right: r#""v":"hello""#,
    },
];

/// One connection that is kept, and asked one thing after the other.
struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    async fn open(api: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(api).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4096) })
    }

    async fn ask(&mut self, verb: &str, data: &str) -> Result<&str> {
        let body = format!(r#"{{"rid":"a-request","data":{data}}}"#);
        let request = format!(
            "POST /{verb} HTTP/1.1\r\nhost: grape\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.answer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the Grape hung up");
            if let Some(body) = body_start(&self.answer)? {
                return Ok(std::str::from_utf8(&self.answer[body..])?);
            }
        }
    }
}

/// Where the body starts, once all of it is there.
fn body_start(answer: &[u8]) -> Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&answer[..head])?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.with_context(|| format!("no content-length in {text:?}"))?;
    Ok((answer.len() >= head + 4 + length).then_some(head + 4))
}

/// Requests a second of one case at one Grape.
async fn rate(api: SocketAddr, case: &'static Case, numbers: &Arc<AtomicU64>) -> Result<f64> {
    let end = Instant::now() + ROUND;
    let clients = (0..CONNECTIONS).map(|_| {
        let numbers = numbers.clone();
        tokio::spawn(async move {
            let mut client = Client::open(api).await?;
            let mut done = 0u32;
            while Instant::now() < end {
                let data = (case.data)(numbers.fetch_add(1, Ordering::Relaxed));
                let answer = client.ask(case.verb, &data).await?;
                ensure!(answer.contains(case.right), "{}: {data} → {answer}", case.name);
                done += 1;
            }
            anyhow::Ok(done)
        })
    });
    let mut done = 0;
    for client in clients.collect::<Vec<_>>() {
        done += client.await??;
    }
    Ok(f64::from(done) / ROUND.as_secs_f64())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Resident memory of a Grape in MB, from the kernel.
fn resident(grape: &mut Grape) -> Result<f64> {
    let pid = grape.process().pid().context("it runs")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kilobytes / 1024.0)
}

/// Lookups of new names one after the other, in milliseconds: p50 and p99.
async fn lookups(api: SocketAddr, prefix: &str, count: usize) -> Result<[f64; 2]> {
    let mut client = Client::open(api).await?;
    let mut times = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        client.ask("lookup", &format!(r#""{prefix}:{n}""#)).await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok([times[count / 2], times[count * 99 / 100]])
}

fn row(name: &str, [npm, ours]: [f64; 2], unit: &str, more_is_better: bool) {
    let ratio = if more_is_better { ours / npm } else { npm / ours };
    let digits = |figure: f64| if figure < 10.0 { 2 } else { 0 };
    let [of_npm, of_ours, of_ratio] = [npm, ours, ratio].map(digits);
    println!("| {name} | {npm:.of_npm$} {unit} | {ours:.of_ours$} {unit} | {ratio:.of_ratio$} × |");
}

async fn run() -> Result<()> {
    let mut networks = Vec::new();
    for kind in KINDS {
        networks.push(Network::start(Shape::Mesh, &[kind; 3]).await?);
    }
    let mut idle = [0.0; 2];
    for (network, idle) in networks.iter_mut().zip(&mut idle) {
        *idle = resident(&mut network.grapes[0])?;
        network.grapes[0].announce("hot", 7001).await?;
    }
    println!("| three Grapes, {CONNECTIONS} connections | npm | ours | ratio |");
    println!("|---|---|---|---|");
    let numbers = Arc::new(AtomicU64::new(0));
    for case in &CASES {
        for network in &networks {
            // Again before each case: others may have pushed it out.
            network.grapes[0].call("put", serde_json::json!({ "v": "hello" })).await?;
        }
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (network, figures) in networks.iter().zip(&mut figures) {
                figures.push(rate(network.grapes[0].api(), case, &numbers).await?);
            }
        }
        row(case.name, figures.map(median), "/s", true);
    }
    let mut loaded = [0.0; 2];
    for (network, loaded) in networks.iter_mut().zip(&mut loaded) {
        *loaded = resident(&mut network.grapes[0])?;
    }
    row("resident memory, idle", idle, "MB", false);
    row("resident memory, after this load", loaded, "MB", false);
    // npm's Grape takes more than two seconds for each: few are enough to see it.
    let mut dead = [[0.0; 2]; 2];
    for ((network, count), dead) in networks.iter_mut().zip([5, 2000]).zip(&mut dead) {
        network.grapes.pop().context("three Grapes")?.process().kill().await?;
        *dead = lookups(network.grapes[0].api(), "after", count).await?;
    }
    row("one of three dead: lookup of a new name, p50", [dead[0][0], dead[1][0]], "ms", false);
    row("one of three dead: lookup of a new name, p99", [dead[0][1], dead[1][1]], "ms", false);
    Ok(())
}

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}
