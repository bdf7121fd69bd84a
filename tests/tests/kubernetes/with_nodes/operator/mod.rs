//! Our operator on two nodes: `grape_tests::kubernetes::Operator`. Where a test says that nothing
//! fails, services on both nodes announce and look up all the while: `Load`.

mod first_use;
mod replicas;
mod watch;
