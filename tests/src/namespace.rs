//! Tests that need a network of their own, and files such as `/etc/resolv.conf` of their own: they
//! run in namespaces of the kernel's, with loopback alone, with or without root's rights.

use std::env;
use std::process::Command;

/// Set in the process that runs in the namespaces.
const INSIDE: &str = "GRAPE_TESTS_INSIDE_NAMESPACE";

/// Runs the body of the test of this name in namespaces of its own: in another process of the same
/// test binary, which calls this again.
///
/// # Panics
/// When the namespaces cannot be had, or the test fails.
pub fn run(test: &str, body: impl Future<Output = ()>) {
    if env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(body);
    }
    let binary = env::current_exe().expect("the test's own binary");
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "--", "sh", "-c"])
        .args(["ip link set lo up && exec \"$@\"", "sh"])
        .arg(binary)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare of util-linux");
    assert!(status.success(), "{test} in a namespace: {status}");
}
