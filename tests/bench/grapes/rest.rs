//! What Grapes cost without requests: a start, a cluster at rest, the space they take.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::http::{self, Request};
use grape_tests::kubernetes::{images, script};
use grape_tests::release::tools;
use grape_tests::results::{Goal, Row};
use grape_tests::{kernel, network, npm_grape, our_grape, wait};
use tokio::time::{Instant, sleep};

use crate::plan::Plan;
use crate::{median, resident_megabytes};

/// From the start of the process to the first answer to a lookup, by a Grape without neighbours.
///
/// # Errors
/// When one does not start.
pub async fn starts(plan: Plan) -> Result<Row> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..plan.starts {
        for (kind, times) in [Kind::Npm, Kind::Ours].into_iter().zip(&mut times) {
            times.push(start(kind).await?);
        }
    }
    Ok(Row::at_most("start to the first answer", times.map(median), "ms", 10.0))
}

/// Milliseconds.
async fn start(kind: Kind) -> Result<f64> {
    let seat = Seat::take()?;
    let api = SocketAddr::from((Ipv4Addr::LOCALHOST, seat.api.number()));
    let question = Request::post("/lookup", r#"{"rid":"a-request","data":"hot"}"#).bytes();
    let began = Instant::now();
    let process = match kind {
        Kind::Npm => npm_grape::spawn(&seat, &Options::default())?,
        Kind::Ours => our_grape::spawn(&seat, &Options::default())?,
    };
    let end = began + wait::DEADLINE;
    // Not on the runtime, whose timers count whole milliseconds.
    let answered = tokio::task::spawn_blocking(move || {
        let mut stream = loop {
            match TcpStream::connect(api) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_micros(100)),
                Err(error) => return Err(error),
            }
        };
        stream.write_all(&question)?;
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer)?;
        Ok((Instant::now(), String::from_utf8_lossy(&answer[..length]).into_owned()))
    });
    let (at, answer) = answered.await?.with_context(|| process.shown())?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{kind} answered {answer:?}");
    Ok((at - began).as_secs_f64() * 1000.0)
}

/// What a Grape takes in a cluster in which nothing is announced: CPU time, and packets.
///
/// # Errors
/// When a Grape does not join.
pub async fn cluster(plan: Plan) -> Result<[Row; 3]> {
    let mut grapes = network::crowd(plan.cluster).await?;
    // A routing table may hold fewer than all, but a bucket of 20 is soon full.
    let some = (plan.cluster - 1).min(20);
    for grape in &mut grapes {
        wait::until(&format!("{grape} knows {some} others"), async || {
            let nodes = grape.nodes().await?;
            ensure!(nodes >= some as u64, "it knows {nodes}");
            Ok(())
        })
        .await?;
    }
    sleep(plan.settle).await;
    let pids = grapes.iter_mut().map(|grape| grape.process().pid().context("a Grape has ended"));
    let pids = pids.collect::<Result<Vec<_>>>()?;
    let packets_before = packets(&grapes).await?;
    let cpu_before = cpu_time(&pids)?;
    let began = Instant::now();
    sleep(plan.watch).await;
    let cpu = cpu_time(&pids)?.saturating_sub(cpu_before);
    let seconds = began.elapsed().as_secs_f64() * grapes.len() as f64;
    let packets = packets(&grapes).await? - packets_before;
    let memory = pids.iter().map(|pid| resident_megabytes(*pid)).collect::<Result<Vec<_>>>()?;
    let size = plan.cluster;
    Ok([
        Row::alone(
            format!("a Grape in a cluster of {size} at rest: CPU, of a core"),
            cpu.as_secs_f64() / seconds * 100.0,
            "%",
            Goal::AtMost(0.2),
        ),
        Row::alone(
            format!("a Grape in a cluster of {size} at rest: packets, sent and received"),
            packets / seconds,
            "/s",
            Goal::AtMost(10.0),
        ),
        Row::alone(
            format!("a Grape in a cluster of {size} at rest: resident memory"),
            median(memory),
            "MB",
            Goal::AtMost(6.0),
        ),
    ])
}

fn cpu_time(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| kernel::cpu_time(*pid)).sum()
}

/// Packets that all of these have sent and received.
async fn packets(grapes: &[Grape]) -> Result<f64> {
    let mut sum = 0.0;
    for grape in grapes {
        let page = http::send(grape.api(), &Request::get("/metrics")).await?.body;
        for name in ["grape_dht_packets_sent_total ", "grape_dht_packets_received_total "] {
            let count = page.lines().find_map(|line| line.strip_prefix(name));
            sum += count.with_context(|| format!("{grape} tells no {name}"))?.parse::<f64>()?;
        }
    }
    Ok(sum)
}

/// The image, and the static binary that is in it.
///
/// # Errors
/// When the image cannot be built.
pub fn sizes() -> Result<[Row; 2]> {
    let image = images::build("grape")?.tar;
    let megabytes = |file: &Path| -> Result<f64> {
        let told = std::fs::metadata(file).with_context(|| file.display().to_string())?;
        Ok(told.len() as f64 / f64::from(1 << 20))
    };
    let folder = tempfile::tempdir()?;
    let binary = folder.path().join("grape");
    let mut build = Command::new(tools::of_project("release/static-binary")?);
    script::run(build.arg("--out").arg(&binary).arg("grape"))?;
    Ok([
        Row::alone("image".to_owned(), megabytes(&image)?, "MB", Goal::AtMost(8.0)),
        Row::alone("binary in the image".to_owned(), megabytes(&binary)?, "MB", Goal::AtMost(8.0)),
    ])
}
