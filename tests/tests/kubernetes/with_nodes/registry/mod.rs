//! A release that is pushed to a registry with a password, and installed from there on a fresh cluster: as
//! docs/install.md says, and from the folder of the release alone.

mod helm;
mod manifest;
mod pull_secrets;
mod stage;
