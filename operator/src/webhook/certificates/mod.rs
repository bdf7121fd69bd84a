//! The certificate that the webhook serves, and the bundle by which API servers trust it.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`bundle`] | the Secret's data, as PEM | pure |
//! | [`issue`] | issues an authority, and certificates that it signs | pure |
//! | [`chain`] | who signed what in a bundle, and how long it is valid | pure |
//! | [`decide`] | decides what is issued, and when | pure |
//! | [`rotator`] | rotates the certificate, keeps the `caBundle` current | I/O |
//! | [`folder`] | a certificate that another program keeps, in a folder | I/O |
//! | [`cert_resolver`] | the certificate that connections get | |
//!
//! A new authority is trusted before it signs: it is put into the bundle beside the old one, and
//! signs only after all API servers have received it. The old one stays until it expires, and no
//! certificate outlives its authority.

pub mod bundle;
pub mod cert_resolver;
pub mod chain;
pub mod decide;
pub mod folder;
pub mod issue;
pub mod rotator;

#[cfg(test)]
mod tests;
