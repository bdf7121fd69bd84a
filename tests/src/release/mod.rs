//! A release: the folder that it is in, pushed to a real registry by `release/push`.
//!
//! | module | concern |
//! |---|---|
//! | [`built`] | the release of these sources, built once |
//! | [`dist`] | the folder of a release, and what a push writes |
//! | [`registry`] | a registry with a password, and who is logged in to it |
//! | [`tools`] | crane, helm, kustomize and the registry, which are built once |

pub mod built;
pub mod dist;
pub mod registry;
pub mod tools;

pub use built::{VERSION, target};
pub use dist::Dist;
pub use registry::{Login, Registry};
