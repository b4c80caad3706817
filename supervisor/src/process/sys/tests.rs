//! What a process started through [`super::arrange`] finds.

use super::{AdoptFault, adopt, arrange};
use std::os::fd::OwnedFd;
use std::process::Command;

fn memfd(text: &str) -> OwnedFd {
    let file = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd");
    rustix::io::write(&file, text.as_bytes()).expect("write");
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).expect("seek");
    file
}

fn shell(script: &str, descriptors: Vec<OwnedFd>, core: Option<usize>) -> String {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script);
    arrange(&mut command, descriptors, core).expect("arranged");
    let output = command.output().expect("a shell");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

#[test]
fn descriptors_arrive_in_order_from_three_upwards() {
    let descriptors = vec![memfd("three"), memfd("four"), memfd("five")];
    assert_eq!(shell("cat <&3; echo; cat <&4; echo; cat <&5", descriptors, None), "three\nfour\nfive");
}

#[test]
fn nothing_else_is_inherited() {
    let leaked = memfd("secret");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("inheritable");
    let listed = shell("for n in /proc/self/fd/*; do echo ${n##*/}; done", vec![memfd("x")], None);
    // The shell itself may hold a descriptor for the directory it lists.
    let inherited: Vec<&str> =
        listed.lines().filter(|number| ["0", "1", "2", "3"].contains(number)).collect();
    assert_eq!(inherited, ["0", "1", "2", "3"]);
    let targets = shell("ls -l /proc/self/fd", vec![memfd("x")], None);
    assert_eq!(targets.matches("memfd:test").count(), 1, "{targets}");
}

#[test]
fn the_process_can_gain_no_privileges_and_writes_no_core() {
    let status = shell("grep NoNewPrivs /proc/self/status; ulimit -c; ulimit -H -c", vec![], None);
    assert_eq!(status, "NoNewPrivs:\t1\n0\n0");
}

#[test]
fn the_process_runs_on_its_core() {
    let cores = crate::process::hardening::allowed_cores().expect("affinity");
    let core = *cores.last().expect("at least one");
    let allowed = shell("grep Cpus_allowed_list /proc/self/status", vec![], Some(core));
    assert_eq!(allowed, format!("Cpus_allowed_list:\t{core}"));
}

#[test]
fn an_executable_that_does_not_exist_is_reported() {
    let mut command = Command::new("/nonexistent/floodgate");
    arrange(&mut command, vec![memfd("x")], None).expect("arranged");
    let fault = command.spawn().expect_err("no such file");
    assert_eq!(fault.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn more_descriptors_than_there_are_numbers_are_refused() {
    let descriptors = (0..70).map(|_| memfd("x")).collect();
    arrange(&mut Command::new("/bin/true"), descriptors, None).expect_err("too many");
}

#[test]
fn a_worker_without_listeners_or_with_too_many_is_refused_before_anything_is_adopted() {
    for listeners in [0, 65, usize::MAX] {
        assert!(matches!(adopt(0, 1, listeners), Err(AdoptFault::Listeners(count)) if count == listeners));
    }
}
