//! A connection that can be cut: bytes wait, as in a partitioned network, and neither end gets an
//! error.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::ports::Port;

/// Forwards TCP connections from a port here. Dropping it ends all of them.
#[derive(Debug)]
pub struct Link {
    port: Port,
    whole: watch::Sender<bool>,
    serving: AbortHandle,
}

impl Link {
    /// A link from `port` on loopback to another address.
    ///
    /// # Errors
    /// When the port cannot be listened at.
    pub async fn open(port: Port, to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).await?;
        let (whole, seen) = watch::channel(true);
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(forward(stream, to, seen.clone()));
            }
        });
        Ok(Self { port, whole, serving: serving.abort_handle() })
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// From now on no byte arrives, on either side.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Mends it: what was sent meanwhile arrives.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn forward(here: TcpStream, to: SocketAddr, mut whole: watch::Receiver<bool>) -> Result<()> {
    whole.wait_for(|whole| *whole).await?;
    let there = TcpStream::connect(to).await?;
    let (from_here, to_here) = here.into_split();
    let (from_there, to_there) = there.into_split();
    tokio::try_join!(
        pump(from_here, to_there, whole.clone()),
        pump(from_there, to_here, whole.clone())
    )?;
    Ok(())
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut whole: watch::Receiver<bool>,
) -> Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let length = from.read(&mut bytes).await?;
        whole.wait_for(|whole| *whole).await?;
        if length == 0 {
            return Ok(to.shutdown().await?);
        }
        to.write_all(&bytes[..length]).await?;
    }
}
