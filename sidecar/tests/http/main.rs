//! The HTTP API over real sockets, on Grapes in this process.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

mod admin;
mod command;
mod drain;
mod environment;
mod framing;
mod grapes;
mod log;
mod raw;
mod services;
mod verbs;
mod watch;
mod websocket;
