//! The command `grape`.
fn main() {}
