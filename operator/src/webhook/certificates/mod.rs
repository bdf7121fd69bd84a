//! The certificate that the webhook serves with, and that API servers believe it.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`bundle`] | what the Secret holds, as PEM | pure |
//! | [`issue`] | an authority, and certificates that it signs | pure |
//! | [`chain`] | what a bundle holds, read: who signed what, and for how long | pure |
//! | [`decide`] | what is made anew, and when | pure |
//! | [`keep`] | the Secret, kept by several replicas; the `caBundle` put right | I/O |
//! | [`folder`] | a certificate that somebody else keeps, in a folder | I/O |
//! | [`served`] | the one that is shown to whoever connects | |
//!
//! A new authority is believed before it signs: it is put into the bundle beside the old one, and
//! signs a while after all API servers were told. The old one stays until it expires, and no
//! certificate outlives who signed it.

pub mod bundle;
pub mod chain;
pub mod decide;
pub mod folder;
pub mod issue;
pub mod keep;
pub mod served;

#[cfg(test)]
mod tests;
