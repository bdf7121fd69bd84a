//! The command `grape-operator`.
fn main() {}
