//! What goes wrong, one after the other.

use anyhow::{Context, Result};
use rand::RngExt;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use crate::fleet::Fleet;
use crate::hosts::HOSTS;
use crate::load::{Counts, Load, all_everywhere, announce_more, more_everywhere};

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) must: &'static str,
    pub(crate) measured: String,
    pub(crate) holds: bool,
    /// It depends on how fast the machine is.
    pub(crate) timed: bool,
}

/// After a fault all is to be everywhere within this time.
const HEALED: Duration = Duration::from_secs(10);

fn judged(what: &str, counts: &Counts) -> Line {
    let mut measured = format!(
        "{} of {} lookups and {} announces failed; p99 {:.1} ms",
        counts.failed,
        counts.lookups,
        counts.announces,
        counts.times.percentile(99).as_secs_f64() * 1000.0
    );
    if let Some(first) = counts.wrong.first() {
        measured.push_str(&format!(", as in: {first}"));
    }
    let must = "0 failed at the others";
    let holds = counts.failed == 0 && counts.lookups > 0 && counts.announces > 0;
    Line { what: what.to_owned(), must, measured, holds, timed: false }
}

/// Waits until all services are everywhere.
async fn healed(what: &str) -> Line {
    // Thrice the time tells a slow machine from what never heals.
    healed_after(what, &all_everywhere(HEALED * 3).await)
}

fn healed_after(what: &str, took: &Result<Duration>) -> Line {
    let must = "all announces everywhere ≤ 10 s after it";
    let (measured, holds) = match took {
        Ok(took) => (format!("{:.1} s", took.as_secs_f64()), *took <= HEALED),
        Err(error) => (format!("{error:#}"), false),
    };
    let timed = took.is_ok();
    Line { what: what.to_owned(), must, measured, holds, timed }
}

/// Before anything goes wrong, and after it: all is well.
pub(crate) async fn rest(fleet: &Fleet, load: &Load) -> Result<()> {
    all_everywhere(HEALED * 6).await.context("all services are everywhere")?;
    fleet.board.all_is_well();
    load.lap();
    Ok(())
}

/// One Grape is killed at random each time, and started again.
pub(crate) async fn kills(
    fleet: &mut Fleet,
    load: &Load,
    (time, each): (Duration, Duration),
) -> Result<Vec<Line>> {
    let begun = Instant::now();
    let mut killed = 0;
    while begun.elapsed() < time {
        let next = Instant::now() + each;
        let (host, pause) = {
            let mut rng = rand::rng();
            (rng.random_range(0..HOSTS), rng.random_range(0.0..0.4))
        };
        fleet.kill(host).await?;
        sleep(each.mul_f64(pause)).await;
        fleet.run(host, &[]).await?;
        killed += 1;
        sleep_until(next).await;
    }
    let counts = load.lap();
    let what = format!("{killed} Grapes killed in {} s, and started again", time.as_secs());
    let after = healed("after the last kill").await;
    Ok(vec![judged(&what, &counts), after])
}

/// A fifth of all packets is lost.
pub(crate) async fn loss(fleet: &Fleet, load: &Load, time: Duration) -> Result<Vec<Line>> {
    fleet.hosts.lose(true).await?;
    sleep(time).await;
    let counts = load.lap();
    fleet.hosts.lose(false).await?;
    let what = format!("20 % of packets lost for {} s", time.as_secs());
    let mut line = judged(&what, &counts);
    line.must = "≥ 99.99 % right";
    // Of few, a second or third that fails proves nothing.
    line.holds = counts.right() >= 99.99 || counts.failed <= 3 && counts.lookups > 1000;
    line.measured = format!("{:.3} %: {}", counts.right(), line.measured);
    Ok(vec![line])
}

/// The network is cut into halves, and mended.
pub(crate) async fn partition(fleet: &Fleet, load: &Load, time: Duration) -> Result<Vec<Line>> {
    fleet.board.part(true);
    fleet.hosts.part(true).await?;
    sleep(time.mul_f64(0.8)).await;
    announce_more().await?;
    sleep(time.mul_f64(0.2)).await;
    let counts = load.lap();
    fleet.hosts.part(false).await?;
    let after = healed_after("after the partition", &more_everywhere(HEALED * 3).await);
    fleet.board.part(false);
    let what = format!("partition, 3 and 3, for {} s: within each half", time.as_secs());
    Ok(vec![judged(&what, &counts), after])
}

/// One Grape stands still (SIGSTOP), and goes on.
pub(crate) async fn pause(fleet: &Fleet, load: &Load, time: Duration) -> Result<Vec<Line>> {
    fleet.stop(2).await?;
    sleep(time).await;
    let counts = load.lap();
    fleet.go_on(2).await?;
    let after = healed("after SIGCONT").await;
    let what = format!("one Grape stopped (SIGSTOP) for {} s", time.as_secs());
    Ok(vec![judged(&what, &counts), after])
}

/// One Grape starts again with a monotonic clock that is 30 days ahead.
pub(crate) async fn clock(fleet: &mut Fleet, load: &Load, time: Duration) -> Result<Vec<Line>> {
    const AHEAD: &str = "2592000";
    fleet.kill(4).await?;
    let by = ["unshare", "--time", "--monotonic", AHEAD, "--boottime", AHEAD, "--fork"];
    fleet.run(4, &[&by[..], &["--kill-child", "--"]].concat()).await?;
    let after = healed("a Grape that starts with a monotonic clock 30 days ahead").await;
    load.lap();
    sleep(time).await;
    let what = format!("the same, for {} s", time.as_secs());
    Ok(vec![after, judged(&what, &load.lap())])
}
