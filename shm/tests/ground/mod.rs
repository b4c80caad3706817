//! Memory that forked children share with their parent.

use memmap2::MmapRaw;

/// A `T` of zeros, for as long as any of the processes runs.
///
/// # Safety
/// `T` is made of atomics alone, and valid when zero.
pub unsafe fn shared<T: Sync>() -> &'static T {
    let file = rustix::fs::memfd_create("ground", rustix::fs::MemfdFlags::CLOEXEC).expect("a memfd");
    rustix::fs::ftruncate(&file, size_of::<T>() as u64).expect("it grows");
    let mapping: &'static MmapRaw = Box::leak(Box::new(MmapRaw::map_raw(&file).expect("it is mapped")));
    assert!(mapping.len() == size_of::<T>() && align_of::<T>() <= 4096);
    // SAFETY: the mapping is leaked, starts at a page, is as long as `T`, and nobody truncates its file; the caller
    // says that any process may see `T` in any state, and it is only reached through shared references.
    unsafe { &*mapping.as_mut_ptr().cast::<T>() }
}
