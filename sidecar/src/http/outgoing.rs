//! Connections to others, for one request each.

use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Connects to a host. The second half is what moves the bytes, while it is polled.
///
/// # Errors
/// When nothing listens there. It may take as long as the system lets it.
pub(crate) async fn open<B>(
    host: &str,
    port: u16,
) -> Result<
    (http1::SendRequest<B>, http1::Connection<TokioIo<TcpStream>, B>),
    Box<dyn std::error::Error + Send + Sync>,
>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let socket = TcpStream::connect((host, port)).await?;
    Ok(http1::handshake(TokioIo::new(socket)).await?)
}
