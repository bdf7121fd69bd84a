//! A server of hyper alone, as a process of its own: what a Grape could reach if it did nothing
//! but answer. Its runtime, its sockets, hyper's settings and the bytes of its answer are a Grape's;
//! so is its allocator, glibc's, as long as `GRAPE_BIN` names no static one.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use grape_tests::grape::Seat;
use grape_tests::http::{self, Reply, Request};
use grape_tests::process::Process;
use grape_tests::wait;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::process::Command;

/// Makes this program such a server, at the port that follows.
pub const FLAG: &str = "--bare";

/// The peers of the hot name.
const ANSWER: &[u8] = br#"["127.0.0.1:7001"]"#;

/// Starts one, and sees that it answers as this Grape does.
///
/// # Errors
/// When it does not start, or its answer is another.
pub async fn start(grape: SocketAddr) -> Result<(Process, SocketAddr)> {
    let seat = Seat::take()?;
    let port = seat.api.number();
    let mut command = Command::new(std::env::current_exe()?);
    command.args([FLAG, &port.to_string()]);
    let process = Process::start("the bare server", &mut command)?;
    let api = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let question = Request::post("/lookup", r#"{"rid":"a-request","data":"hot"}"#);
    let answer =
        wait::until("the bare server answers", async || undated(http::send(api, &question).await));
    let (bare, wanted) = (answer.await?, undated(http::send(grape, &question).await)?);
    ensure!(bare == wanted, "the bare server answers {bare:?}, a Grape {wanted:?}");
    Ok((process, api))
}

/// An answer without its date.
fn undated(reply: Result<Reply>) -> Result<Reply> {
    let mut reply = reply?;
    reply.headers.retain(|(name, _)| name != "date");
    Ok(reply)
}

/// Serves until the process is killed.
///
/// # Errors
/// When the port cannot be had.
pub fn serve(port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = grape::http::bind(Some(Ipv4Addr::LOCALHOST.into()), port)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(
                http1::Builder::new()
                    .half_close(true)
                    .max_buf_size(64 << 10)
                    .serve_connection(TokioIo::new(stream), service_fn(answer)),
            );
        }
    })
}

async fn answer(request: hyper::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // As a Grape does, which has to know what it is asked.
    let _ = request.into_body().collect().await;
    Ok(Response::new(Full::new(Bytes::from_static(ANSWER))))
}
