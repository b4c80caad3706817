//! Reading the settings memfd.

use super::{SettingsFault, read_settings};
use std::os::fd::{AsFd, OwnedFd};

fn memfd(text: &str) -> OwnedFd {
    let file = rustix::fs::memfd_create("settings", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd");
    rustix::io::write(&file, text.as_bytes()).expect("write");
    file
}

#[test]
fn a_fault_names_the_position_and_never_the_value() {
    let file = memfd("{\"environment\":\n\"hunter2\"}");
    let fault = read_settings(file.as_fd()).expect_err("not an environment");
    assert!(matches!(fault, SettingsFault::Shape { line: 2, .. }), "{fault}");
    assert!(!fault.to_string().contains("hunter2"));
}

#[test]
fn an_empty_memfd_is_a_fault() {
    let file = memfd("");
    assert!(matches!(read_settings(file.as_fd()), Err(SettingsFault::Shape { .. })));
}

#[test]
fn settings_beyond_the_bound_are_refused_unread() {
    let file = memfd("");
    rustix::fs::ftruncate(&file, 16 * 1024 * 1024 + 1).expect("truncate");
    assert!(matches!(read_settings(file.as_fd()), Err(SettingsFault::Length)));
}

#[test]
fn two_readers_of_one_description_do_not_disturb_each_other() {
    let file = memfd("[1,\n2,\n");
    let sibling = file.try_clone().expect("dup");
    let first = read_settings(file.as_fd()).expect_err("cut off").to_string();
    let second = read_settings(sibling.as_fd()).expect_err("cut off").to_string();
    assert_eq!(first, second);
}
