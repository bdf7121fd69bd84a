//! The certificate that the webhook serves with, and that API servers believe it.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`bundle`] | what the Secret holds, as PEM | pure |
//! | [`issue`] | an authority, and certificates that it signs | pure |
//! | [`chain`] | what a bundle holds, read: who signed what, and for how long | pure |
//! | [`decide`] | what is issued, and when | pure |
//! | [`rotator`] | rotates the certificate, keeps the `caBundle` current | I/O |
//! | [`folder`] | a certificate that somebody else keeps, in a folder | I/O |
//! | [`cert_resolver`] | the one that is shown to whoever connects | |
//!
//! A new authority is believed before it signs: it is put into the bundle beside the old one, and
//! signs a while after all API servers were told. The old one stays until it expires, and no
//! certificate outlives who signed it.

pub mod bundle;
pub mod cert_resolver;
pub mod chain;
pub mod decide;
pub mod folder;
pub mod issue;
pub mod rotator;

#[cfg(test)]
mod tests;
