//! Creation, sealing, attaching and taking over; above all, that a worker can never write the authority.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::Command;

use rustix::fs::FallocateFlags;

use super::*;
use crate::names::NameKind;
use crate::readiness::NodePhase;
use crate::revocations::{Cause, Repaired, StreamId, Verdict};
use crate::{SLOTS_MAX, WorkerSlot};

fn pair(region: &SupervisorRegion) -> (OwnedFd, OwnedFd) {
    let own = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().expect("a descriptor can be duplicated");
    (own(region.authority_fd()), own(region.shared_fd()))
}

fn attach(region: &SupervisorRegion) -> WorkerRegion {
    let (authority, shared) = pair(region);
    WorkerRegion::attach(authority, shared).expect("the region is intact")
}

/// Tries everything that would let a process with this descriptor, and the same user id, write the authority.
fn assert_no_way_to_write(authority: &OwnedFd) {
    let bytes = size_of::<Authority>();
    let path = format!("/proc/self/fd/{}", authority.as_raw_fd());
    let reopened = OwnedFd::from(OpenOptions::new().read(true).write(true).open(path).expect("same user"));
    for memfd in [authority, &reopened] {
        let errno = |error: std::io::Error| error.raw_os_error().map(Errno::from_raw_os_error);
        let mapped = MmapOptions::new().len(bytes).map_raw(memfd).map(|_| ());
        assert_eq!(mapped.map_err(errno), Err(Some(Errno::PERM)), "mmap for writing");
        let read_only = MmapOptions::new().len(bytes).map_raw_read_only(memfd).expect("reading is allowed");
        assert!(!can_become_writable(&read_only), "mprotect");
        let mut file = File::from(memfd.try_clone().expect("a descriptor can be duplicated"));
        assert_eq!(file.write(b"x").map_err(errno), Err(Some(Errno::PERM)), "write");
        assert_eq!(rustix::io::pwrite(memfd, b"x", 0), Err(Errno::PERM), "pwrite");
        assert_eq!(rustix::fs::ftruncate(memfd, 0), Err(Errno::PERM), "ftruncate");
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        assert_eq!(rustix::fs::fallocate(memfd, hole, 0, 4096), Err(Errno::PERM), "punching a hole");
        assert_eq!(rustix::fs::fcntl_add_seals(memfd, SealFlags::WRITE), Err(Errno::PERM), "another seal");
    }
}

fn can_become_writable(mapping: &MmapRaw) -> bool {
    let flags = rustix::mm::MprotectFlags::READ | rustix::mm::MprotectFlags::WRITE;
    // SAFETY: the mapping is the caller's own, nothing refers into it, and it is dropped right after.
    unsafe { rustix::mm::mprotect(mapping.as_mut_ptr().cast(), mapping.len(), flags) }.is_ok()
}

#[test]
fn a_worker_cannot_get_a_writable_mapping_of_the_authority() {
    let region = SupervisorRegion::create().expect("memfds are available");
    let (authority, _) = pair(&region);
    assert_no_way_to_write(&authority);
    region.authority().readiness.set_phase(region.writer(), NodePhase::Serving);
    assert_eq!(attach(&region).authority().readiness.phase(), NodePhase::Serving, "but the supervisor can");
}

#[test]
fn another_process_cannot_get_a_writable_mapping_of_the_authority() {
    let region = SupervisorRegion::create().expect("memfds are available");
    let (authority, _) = pair(&region);
    rustix::io::fcntl_setfd(&authority, rustix::io::FdFlags::empty()).expect("the descriptor is open");
    let output = Command::new(std::env::current_exe().expect("tests have an executable"))
        .args(["--exact", "--nocapture", "region::tests::inherited_authority"])
        .env(INHERITED, authority.as_raw_fd().to_string())
        .output()
        .expect("the test binary can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains(TRIED),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The other process of the test above; nothing to do when it is run by itself.
#[test]
fn inherited_authority() {
    let Ok(number) = std::env::var(INHERITED) else { return };
    let path = format!("/proc/self/fd/{number}");
    let inherited =
        OpenOptions::new().read(true).write(true).open(path).expect("the descriptor was inherited");
    assert_no_way_to_write(&OwnedFd::from(inherited));
    let mut output = std::io::stdout();
    writeln!(output, "{TRIED}").expect("standard output is a pipe");
}

const INHERITED: &str = "FLOODGATE_TEST_AUTHORITY";
const TRIED: &str = "every way to write was refused";

#[test]
fn workers_see_what_the_supervisor_writes_and_each_other() {
    let region = SupervisorRegion::create().expect("memfds are available");
    let (first, second) = (attach(&region), attach(&region));
    let role = region.authority().names.intern(region.writer(), NameKind::Role, "admin").expect("room");
    assert_eq!(first.authority().names.find(NameKind::Role, "admin"), Some(role));
    let slot = WorkerSlot::new(SLOTS_MAX - 1).expect("the last slot").index();
    first.shared().workers[slot].begin(42, 1);
    assert_eq!(second.shared().workers[slot].pid(), 42);
    assert!(first.shared().journals[slot].push(&[1; crate::journal::RECORD_WORDS_MAX]));
    assert_eq!(region.shared().journals[slot].drain(9, |words| assert_eq!(words, [1; 126])), 1);
    assert_eq!(first.boot_id(), region.boot_id());
}

#[test]
fn an_untouched_region_takes_hardly_any_memory() {
    let region = SupervisorRegion::create().expect("memfds are available");
    let blocks = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).expect("the memfd is open").st_blocks * 512;
    assert!(blocks(region.shared_fd()) <= 64 * 1024);
    region.shared().counters.iter().for_each(|block| block.each_counter(|_, _| ()));
    assert!(blocks(region.shared_fd()) <= 2 * 1024 * 1024, "a scrape reads no block that nobody used");
}

#[test]
fn a_successor_keeps_the_shared_half_and_copies_the_authority() {
    let old = SupervisorRegion::create().expect("memfds are available");
    let name = old.authority().names.intern(old.writer(), NameKind::Service, "venue").expect("room");
    old.shared().workers[5].begin(42, 1);
    let worker = attach(&old);
    let (authority, shared) = pair(&old);
    let new = SupervisorRegion::succeed(authority, shared).expect("the region is intact");
    assert_eq!(new.boot_id(), old.boot_id());
    assert_eq!(new.authority().names.text(name).as_deref(), Some("venue"));
    assert_eq!(new.shared().workers[5].pid(), 42);
    worker.shared().workers[6].begin(43, 1);
    assert_eq!(new.shared().workers[6].pid(), 43, "the worker of the old supervisor is still seen");
    new.authority().names.intern(new.writer(), NameKind::Service, "event").expect("the copy can be written");
    assert_eq!(old.authority().names.count(), 1, "the old authority stays as it was left");
    assert_no_way_to_write(&pair(&new).0);
    assert_eq!(attach(&new).authority().names.count(), 2);
}

#[test]
fn a_successor_and_its_workers_know_what_was_revoked() {
    let old = SupervisorRegion::create().expect("memfds are available");
    let revocations = &old.authority().revocations;
    assert_eq!(revocations.repair(old.writer(), 1), Repaired::Emptied);
    revocations.revoke_token(old.writer(), &[7; 32], 200, 100);
    revocations.set_last_applied(old.writer(), StreamId { ms: 5, seq: 6 });
    assert_eq!(attach(&old).authority().revocations.token(&[7; 32], 100), Verdict::Revoked(Cause::Token));

    let (authority, shared) = pair(&old);
    let new = SupervisorRegion::succeed(authority, shared).expect("the region is intact");
    let revocations = &new.authority().revocations;
    assert_eq!(revocations.repair(new.writer(), 1), Repaired::Kept { torn: 0 });
    assert_eq!(revocations.last_applied(new.writer()), Some(StreamId { ms: 5, seq: 6 }));
    let worker = attach(&new);
    assert_eq!(worker.authority().revocations.token(&[7; 32], 100), Verdict::Revoked(Cause::Token));
    revocations.revoke_token(new.writer(), &[8; 32], 200, 100);
    assert_eq!(worker.authority().revocations.token(&[8; 32], 100), Verdict::Revoked(Cause::Token));
}

#[test]
fn memfds_that_do_not_belong_together_are_refused() {
    let one = SupervisorRegion::create().expect("memfds are available");
    let other = SupervisorRegion::create().expect("memfds are available");
    assert_ne!(one.boot_id(), other.boot_id());
    let (authority, own_shared) = pair(&one);
    let (own_authority, shared) = pair(&other);
    let fault = WorkerRegion::attach(authority, shared).expect_err("two boots");
    assert!(matches!(fault, RegionFault::Unpaired { .. }), "{fault}");
    let fault = SupervisorRegion::succeed(own_authority, own_shared).expect_err("two boots");
    assert!(matches!(fault, RegionFault::Unpaired { .. }), "{fault}");
    let (authority, shared) = pair(&one);
    let fault = WorkerRegion::attach(shared, authority).expect_err("the wrong way round");
    assert!(matches!(fault, RegionFault::Unsealed { half: Half::Authority, .. }), "{fault}");
}

/// An authority whose header is `header`, sealed like a real one, beside a real shared half.
fn forged(header: [u64; HEADER_WORDS], bytes: usize) -> RegionFault {
    let real = SupervisorRegion::create().expect("memfds are available");
    let authority = memfd(Half::Authority, bytes).expect("memfds are available");
    write_all(&authority, Half::Authority, &header.map(u64::to_le_bytes).concat(), 0)
        .expect("not sealed yet");
    seal(&authority, Half::Authority).expect("memfds can be sealed");
    SupervisorRegion::succeed(authority, pair(&real).1).expect_err("a forged authority")
}

#[test]
fn another_layout_size_or_magic_is_refused_and_never_reinterpreted() {
    let bytes = size_of::<Authority>();
    let [magic, layout, size, ..] = Header::words(Half::Authority.magic(), bytes, BootId([0, 0]));
    let fault = forged([magic, layout ^ 1, size, 0, 0], bytes);
    assert!(matches!(fault, RegionFault::Layout { half: Half::Authority, .. }), "{fault}");
    let fault = forged([magic ^ 1, layout, size, 0, 0], bytes);
    assert!(matches!(fault, RegionFault::Magic { half: Half::Authority }), "{fault}");
    let fault = forged([0; HEADER_WORDS], bytes);
    assert!(matches!(fault, RegionFault::Magic { half: Half::Authority }), "{fault}");
    for found in [bytes - 4096, bytes + 4096] {
        let fault = forged([magic, layout, size, 0, 0], found);
        assert!(matches!(fault, RegionFault::Size { found: f, .. } if f == found as u64), "{fault}");
    }
    let fault = forged([magic, layout, size + 1, 0, 0], bytes);
    assert!(matches!(fault, RegionFault::Size { .. }), "{fault}");
    let fault = forged([magic, layout, size, 0, 0], bytes);
    assert!(matches!(fault, RegionFault::Unpaired { .. }), "all else is right: {fault}");
}

#[test]
fn an_unsealed_memfd_is_refused() {
    let real = SupervisorRegion::create().expect("memfds are available");
    let (authority, _) = pair(&real);
    let shared = blank::<Shared>(real.boot_id()).expect("memfds are available");
    let fault = WorkerRegion::attach(authority, shared).expect_err("it could be cut off under us");
    assert!(matches!(fault, RegionFault::Unsealed { half: Half::Shared, .. }), "{fault}");
    assert!(fault.to_string().contains("SHRINK"), "{fault}");
}

#[test]
fn a_descriptor_that_is_no_memfd_is_refused() {
    let real = SupervisorRegion::create().expect("memfds are available");
    let file = OwnedFd::from(File::open("/dev/null").expect("every system has it"));
    let fault = WorkerRegion::attach(file, pair(&real).1).expect_err("not a memfd");
    assert!(matches!(fault, RegionFault::System { half: Half::Authority, .. }), "{fault}");
}
