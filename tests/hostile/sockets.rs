//! TCP connections from a chosen address of this host.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Duration, timeout};

const CONNECTED: Duration = Duration::from_secs(10);

/// A connection from this address.
pub(crate) async fn connect(from: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // What the other side does not get rid of stays there, and not in this side's buffer.
    socket.set_recv_buffer_size(8 << 10)?;
    socket.bind(SocketAddr::new(from, 0))?;
    Ok(timeout(CONNECTED, socket.connect(to)).await??)
}

/// What is read of an answer: up to its end, or until nothing comes for so long. Sending may fail on a
/// connection that was closed with an answer.
pub(crate) async fn exchange(
    mut stream: TcpStream,
    request: &[u8],
    patience: Duration,
) -> Result<String> {
    let _ = timeout(patience, stream.write_all(request)).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(length)) = timeout(patience, stream.read(&mut buffer)).await {
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..length]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> Result<u16> {
    let code = answer.split(' ').nth(1).with_context(|| format!("no answer: {answer:?}"))?;
    Ok(code.parse()?)
}

/// How many files this process may have open.
pub(crate) fn files() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("limits")?;
    Ok(line.split_whitespace().nth(3).context("a number")?.parse()?)
}
