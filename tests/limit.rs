//! Tests the time limit of the tests: a test that hangs is ended, and its name is printed.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use std::process::Command;

/// Only the test below runs this.
#[test]
#[ignore = "hangs on purpose"]
fn hangs() {
    let _limit = limit::within(1);
    std::thread::park();
}

#[test]
fn a_test_that_hangs_is_ended_with_its_name() {
    let _limit = limit::within(60);
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--ignored", "--exact", "hangs"]).env_remove("OCELLI_PATIENCE").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(101), "{said}");
    assert!(said.contains("test hangs takes too long"), "{said}");
}
