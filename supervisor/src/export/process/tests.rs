//! /proc, as it is and as it may be.

use super::*;

#[test]
fn this_process_uses_memory_time_and_descriptors() {
    let before = usage(&[]);
    assert!(before.resident_bytes > 1 << 20 && before.virtual_bytes > before.resident_bytes);
    assert!(before.open_fds >= 3 && before.max_fds >= before.open_fds);
    let files: Vec<_> = (0..5).map(|_| fs::File::open("/proc/self/stat").expect("it exists")).collect();
    assert!(usage(&[]).open_fds > before.open_fds.saturating_sub(1), "{} more files are open", files.len());
}

#[test]
fn a_worker_adds_its_private_memory_and_what_all_share_counts_once() {
    let alone = usage(&[]);
    let twice = usage(&[std::process::id()]);
    assert!(twice.virtual_bytes > alone.virtual_bytes);
    assert!(twice.resident_bytes < 2 * alone.resident_bytes, "the file pages are the same");
    assert_eq!(usage(&[u32::MAX]).max_fds, alone.max_fds, "a process that is gone is no error");
}

#[test]
fn times_are_read_after_the_last_parenthesis() {
    let stat = "42 (a) b ( c) S 1 42 42 0 -1 4194560 100 200 0 0 7 5 300 100 20 0 1 0 12345 1 2 3";
    assert_eq!(cpu_ns(stat, Ended::Ignored), 120_000_000);
    assert_eq!(cpu_ns(stat, Ended::Counted), 4_120_000_000);
    assert_eq!(cpu_ns("nonsense", Ended::Counted), 0);
}

#[test]
fn memory_fields_are_in_bytes() {
    let memory = Memory::parse("VmSize:\t  2048 kB\nRssAnon:\t 10 kB\nRssFile:\t20 kB\nRssShmem:\t30 MB\n");
    assert_eq!(
        (memory.address_space, memory.anonymous, memory.file, memory.region),
        (2 << 20, 10_240, 20_480, 0)
    );
}

#[test]
fn the_memory_limit_is_known() {
    assert!(memory_limit_bytes() > 1 << 20);
}
