//! Connections: many, slow, idle, deaf, or flooding.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use futures_util::future::{join_all, try_join_all};
use grape_tests::lab::{Server, binary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, timeout_at};

use crate::attack::{Attack, Outcome};
use crate::site::{Ground, Observed, Site};
use crate::sockets::{connect, exchange, files, status};
use crate::ws_frames;

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "idle-connections",
            title: "10,000 connections of another host: a third idle, a third with half a head, a third with half a body",
            run: |ground| Box::pin(idle(ground)),
        },
        Attack {
            name: "long-heads",
            title: "2,000 heads of 60 KB",
            run: |ground| Box::pin(long_heads(ground)),
        },
        Attack {
            name: "deaf-watchers",
            title: "1,024 watchers that never read, of names that change",
            run: |ground| Box::pin(deaf_watchers(ground)),
        },
        Attack {
            name: "few-files",
            title: "1,100 connections to a Grape that may open 1,024 files",
            run: |ground| Box::pin(few_files(ground)),
        },
        Attack {
            name: "websocket-flood",
            title: "200 WebSockets of another host flood with lookups",
            run: |ground| Box::pin(websockets(ground)),
        },
    ]
}

/// Connections of one host; those that the Grape closes at once count as well.
async fn crowd(
    from: IpAddr,
    to: SocketAddr,
    count: usize,
    sent: impl Fn(usize) -> Vec<u8>,
) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for first in (0..count).step_by(100) {
        let batch = (first..count.min(first + 100)).map(async |n| {
            let mut stream = connect(from, to).await.ok()?;
            let _ = stream.write_all(&sent(n)).await;
            Some(stream)
        });
        streams.extend(join_all(batch).await.into_iter().flatten());
    }
    streams
}

async fn idle(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let to = site.api_from_elsewhere();
    let count = ground.pick(10_000, 2_000).min(files()?.saturating_sub(2_000));
    let halves: [&[u8]; 3] = [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: ",
        b"POST /lookup HTTP/1.1\r\nHost: grape\r\nContent-Length: 20\r\n\r\n{",
    ];
    let crowding = async {
        let streams = crowd(ground.ip(100), to, count, |n| halves[n % 3].to_vec()).await;
        sleep(ground.time()).await;
        let answer = exchange(
            connect(ground.ip(101), to).await?,
            b"GET /healthz HTTP/1.0\r\n\r\n",
            Duration::from_secs(10),
        )
        .await?;
        // They stay open until the Grape has shown how many it has.
        Ok((streams, status(&answer)?))
    };
    let ((streams, healthz), observed) = site.during(crowding).await?;
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{} connections, {seconds:.0} s", streams.len()));
    observed.judge(&mut outcome);
    judge_places(&mut outcome, &observed, 1024.0);
    outcome.must("a third host is served", format!("status {healthz}"), healthz == 200);
    Ok(outcome)
}

fn judge_places(outcome: &mut Outcome, observed: &Observed, most: f64) {
    let open = observed.after.sum("grape_api_connections");
    outcome.must(format!("≤ {most} connections are open"), format!("{open}"), open <= most);
}

async fn long_heads(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let to = site.api_from_elsewhere();
    let count = ground.pick(2_000, 200);
    let head = format!("GET /healthz HTTP/1.1\r\nHost: grape\r\nX: {}\r\n\r\n", "x".repeat(60_000));
    let asking = async {
        let mut refused = 0;
        for first in (0..count).step_by(200) {
            let batch = (first..count.min(first + 200)).map(async |_| {
                let stream = connect(ground.ip(100), to).await.ok()?;
                exchange(stream, head.as_bytes(), Duration::from_secs(5)).await.ok()
            });
            let answers = join_all(batch).await;
            // One that is closed before its answer was read is refused, too.
            let ok = |answer: &Option<String>| {
                answer.as_deref().is_some_and(|answer| answer.starts_with("HTTP/1.1 2"))
            };
            refused += answers.iter().filter(|answer| !ok(answer)).count();
        }
        Ok(refused)
    };
    let (refused, observed) = site.during(asking).await?;
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{count} heads, {seconds:.0} s"));
    observed.judge(&mut outcome);
    outcome.must("all are refused", format!("{refused} of {count}"), refused == count);
    Ok(outcome)
}

async fn deaf_watchers(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let to = site.api_from_elsewhere();
    let count = ground.pick(1024, 256);
    let names = 8;
    let ask = |n: usize| {
        format!("GET /watch?name=changes{} HTTP/1.1\r\nHost: grape\r\n\r\n", n % names).into_bytes()
    };
    let mut changing = site.servers[1].client();
    let watching = async {
        let streams = crowd(ground.ip(100), to, count, ask).await;
        let begun = Instant::now();
        let mut changes = 0_u16;
        while begun.elapsed() < ground.time() {
            // More peers each time: the events grow.
            let name = format!("changes{}", usize::from(changes) % names);
            changing.announce(&name, 10_000 + changes).await?;
            changes += 1;
            sleep(Duration::from_millis(5)).await;
        }
        Ok((streams, changes))
    };
    let ((streams, changes), observed) = site.during(watching).await?;
    let seconds = observed.time.as_secs_f64();
    let opened = streams.len();
    let mut outcome = Outcome::new(format!("{opened} watchers, {changes} changes, {seconds:.0} s"));
    observed.judge(&mut outcome);
    let open = observed.after.sum("grape_watches");
    outcome.must("≤ 1,024 watches are open", format!("{open}"), open <= 1024.0);
    Ok(outcome)
}

async fn few_files(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    // The limit is the first Grape's: it starts again by a shell that sets it.
    let place = site.target().place.clone();
    site.servers.remove(0).process.kill().await?;
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -n 1024 && exec \"$0\" \"$@\""]).arg(binary()?);
    let place = grape_tests::lab::Place { bootstrap: vec![ground.at(2, 20001)], ..place };
    site.servers.insert(0, Server::start_by(command, place).await?);
    grape_tests::lab::know_each_other(&site.servers).await?;
    let to = site.api_from_elsewhere();
    let crowding = async {
        let streams = crowd(ground.ip(100), to, 1100, |_| Vec::new()).await;
        sleep(ground.time()).await;
        let stream = connect(ground.ip(101), to).await?;
        let health = b"GET /healthz HTTP/1.0\r\n\r\n";
        let answer = exchange(stream, health, Duration::from_secs(10)).await?;
        Ok((streams, status(&answer).unwrap_or(0)))
    };
    let ((streams, healthz), observed) = site.during(crowding).await?;
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{} connections, {seconds:.0} s", streams.len()));
    observed.judge(&mut outcome);
    judge_places(&mut outcome, &observed, 512.0);
    outcome.must("a new client is served", format!("status {healthz}"), healthz == 200);
    Ok(outcome)
}

async fn websockets(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let to = site.api_from_elsewhere();
    let count = ground.pick(200, 50);
    let streams = try_join_all((0..count).map(|_| ws_frames::open(ground.ip(100), to))).await?;
    let (name, _) = site.honest.known_name();
    let frames = ws_frames::frame(&format!(r#"["a","lookup","{name}"]"#)).repeat(50);
    let end = Instant::now() + ground.time() + Duration::from_secs(1);
    let mut tasks = JoinSet::new();
    for stream in streams {
        let (mut reading, mut writing) = stream.into_split();
        let frames = frames.clone();
        tasks.spawn(async move {
            while let Ok(Ok(())) = timeout_at(end, writing.write_all(&frames)).await {}
            writing.forget();
            0
        });
        tasks.spawn(async move {
            let (mut buffer, mut answers) = (vec![0; 8 << 10], 0);
            while let Ok(Ok(length @ 1..)) = timeout_at(end, reading.read(&mut buffer)).await {
                // Each answer begins with the id of its request.
                answers += buffer[..length].windows(4).filter(|part| part == b"[\"a\"").count();
            }
            answers
        });
    }
    let flooding = async {
        let mut answers = 0;
        while let Some(more) = tasks.join_next().await {
            answers += more.context("a WebSocket")?;
        }
        Ok(answers)
    };
    let (sent, observed) = site.during(flooding).await?;
    let seconds = observed.time.as_secs_f64();
    let mut outcome =
        Outcome::new(format!("{:.0} lookups answered/s, {seconds:.0} s", sent as f64 / seconds));
    observed.judge(&mut outcome);
    Ok(outcome)
}
