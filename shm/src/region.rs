//! The two memfds: making, sealing, attaching, taking over. The only file with `unsafe`, all of it in `map`.
//!
//! The supervisor maps the authority before it seals it against writing, so that its one mapping stays
//! writable while no descriptor, not even one opened anew by the same user, ever gives another. Mappings live
//! as long as the process.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use crate::layout::{Authority, AuthorityWriter, BootId, HEADER_WORDS, Header, LAYOUT_HASH, Shared};

/// The supervisor's side: both halves writable.
pub struct SupervisorRegion {
    authority_fd: OwnedFd,
    shared_fd: OwnedFd,
    authority: &'static Authority,
    shared: &'static Shared,
    writer: AuthorityWriter,
}

/// A worker's side: the authority is read-only memory.
#[derive(Clone, Copy)]
pub struct WorkerRegion {
    authority: &'static Authority,
    shared: &'static Shared,
}

/// One of the two memfds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Authority,
    Shared,
}

/// Why there is no region. Other than `System`, each means that the memfds are not ours to interpret: make a
/// new region.
#[derive(Debug, thiserror::Error)]
pub enum RegionFault {
    #[error("{call} failed on the {half} memfd: {source}")]
    System { half: Half, call: &'static str, source: std::io::Error },
    #[error("the {half} memfd has {found} bytes, not {expected}")]
    Size { half: Half, expected: u64, found: u64 },
    #[error("the {half} memfd does not begin like one")]
    Magic { half: Half },
    #[error("the {half} memfd has layout {found:016x}, this build has {expected:016x}")]
    Layout { half: Half, expected: u64, found: u64 },
    #[error("the {half} memfd lacks seals: {missing}")]
    Unsealed { half: Half, missing: String },
    #[error("the authority is of boot {authority}, the shared memfd of boot {shared}")]
    Unpaired { authority: BootId, shared: BootId },
}

impl SupervisorRegion {
    /// Makes an empty region. Memory is allocated when it is first used.
    pub fn create() -> Result<SupervisorRegion, RegionFault> {
        let boot = random_boot_id()?;
        let authority = blank::<Authority>(boot)?;
        let shared = blank::<Shared>(boot)?;
        SupervisorRegion::open(authority, shared)
    }

    /// Takes over the region of a supervisor that is gone: keeps the shared half, and copies the authority
    /// into a new memfd, because nobody can ever write the old one again. Workers of the old generation go on
    /// reading the old authority, as it was left.
    pub fn succeed(authority: OwnedFd, shared: OwnedFd) -> Result<SupervisorRegion, RegionFault> {
        check_pair(&authority, &shared)?;
        let copy = memfd(Half::Authority, size_of::<Authority>())?;
        copy_all(&authority, &copy, size_of::<Authority>())?;
        SupervisorRegion::open(copy, shared)
    }

    #[must_use]
    pub fn authority(&self) -> &'static Authority {
        self.authority
    }

    #[must_use]
    pub fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// What every writing method of the authority asks for.
    #[must_use]
    pub fn writer(&self) -> &AuthorityWriter {
        &self.writer
    }

    /// To hand to workers and to keep for a successor; gives nobody a writable mapping.
    #[must_use]
    pub fn authority_fd(&self) -> BorrowedFd<'_> {
        self.authority_fd.as_fd()
    }

    /// To hand to workers and to keep for a successor.
    #[must_use]
    pub fn shared_fd(&self) -> BorrowedFd<'_> {
        self.shared_fd.as_fd()
    }

    #[must_use]
    pub fn boot_id(&self) -> BootId {
        self.shared.header.boot()
    }

    /// Maps both halves for writing, then seals them: in this order, or the authority could not be written at
    /// all.
    fn open(authority_fd: OwnedFd, shared_fd: OwnedFd) -> Result<SupervisorRegion, RegionFault> {
        let authority = map::<Authority>(writable(&authority_fd, Half::Authority, size_of::<Authority>())?);
        let shared = map::<Shared>(writable(&shared_fd, Half::Shared, size_of::<Shared>())?);
        seal(&authority_fd, Half::Authority)?;
        seal(&shared_fd, Half::Shared)?;
        Ok(SupervisorRegion { authority_fd, shared_fd, authority, shared, writer: AuthorityWriter::new() })
    }
}

impl WorkerRegion {
    /// Maps the region that a supervisor handed over. The descriptors are closed; the mappings stay.
    pub fn attach(authority: OwnedFd, shared: OwnedFd) -> Result<WorkerRegion, RegionFault> {
        check_pair(&authority, &shared)?;
        Ok(WorkerRegion {
            authority: map::<Authority>(readable(&authority, Half::Authority, size_of::<Authority>())?),
            shared: map::<Shared>(writable(&shared, Half::Shared, size_of::<Shared>())?),
        })
    }

    #[must_use]
    pub fn authority(&self) -> &'static Authority {
        self.authority
    }

    #[must_use]
    pub fn shared(&self) -> &'static Shared {
        self.shared
    }

    #[must_use]
    pub fn boot_id(&self) -> BootId {
        self.shared.header.boot()
    }
}

impl std::fmt::Debug for SupervisorRegion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SupervisorRegion({})", self.boot_id())
    }
}

impl std::fmt::Debug for WorkerRegion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "WorkerRegion({})", self.boot_id())
    }
}

impl Half {
    fn magic(self) -> u64 {
        match self {
            Half::Authority => u64::from_le_bytes(*b"FLOODaut"),
            Half::Shared => u64::from_le_bytes(*b"FLOODshr"),
        }
    }

    /// Seals without which the half is not used: its size is fixed (or a reader could be killed by
    /// truncation), no seal can be taken back, and nobody maps the authority for writing.
    fn seals(self) -> SealFlags {
        let size = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        match self {
            Half::Authority => size | SealFlags::FUTURE_WRITE,
            Half::Shared => size,
        }
    }

    fn failed<E: Into<std::io::Error>>(self, call: &'static str) -> impl FnOnce(E) -> RegionFault {
        move |source| RegionFault::System { half: self, call, source: source.into() }
    }
}

impl std::fmt::Display for Half {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Half::Authority => "authority",
            Half::Shared => "shared",
        })
    }
}

/// A structure that may be laid over a memfd.
///
/// # Safety
/// The type is `repr(C)`, made of `Word`s alone (and padding that nobody reads), valid for every bit pattern,
/// and needs no more alignment than a page has.
unsafe trait Mapped: Sync + 'static {
    const HALF: Half;
}

// SAFETY: all its parts are arrays of words, and `layout` asserts at compile time that they leave no gap and
// that the alignment is at most a page's.
unsafe impl Mapped for Authority {
    const HALF: Half = Half::Authority;
}

// SAFETY: as above; the padding around the journals' two ends is never read.
unsafe impl Mapped for Shared {
    const HALF: Half = Half::Shared;
}

/// Lays `T` over a mapping, for the rest of the process's life.
fn map<T: Mapped>(mapping: MmapRaw) -> &'static T {
    assert!(mapping.len() == size_of::<T>(), "the mapping is exactly as long as what is laid over it");
    let mapping: &'static MmapRaw = Box::leak(Box::new(mapping));
    // SAFETY: the mapping is leaked, so that it is never unmapped or moved; it starts at a page and is
    // exactly as long as `T` (asserted above), which by the contract of `Mapped` is aligned then and valid
    // whatever the bytes are. The memfd cannot be truncated under it: it is as long as `T` before it is
    // mapped and sealed against shrinking before any other process gets it. Other processes change the bytes,
    // but `T` is made of atomics and is only reached through shared references. A read-only mapping is only
    // loaded from: every method that stores to an `Authority` demands an `AuthorityWriter`, which comes with
    // a writable mapping only.
    unsafe { &*mapping.as_mut_ptr().cast::<T>() }
}

fn writable(memfd: &OwnedFd, half: Half, bytes: usize) -> Result<MmapRaw, RegionFault> {
    let mapping = MmapOptions::new().len(bytes).map_raw(memfd).map_err(half.failed("mmap for writing"))?;
    if half == Half::Authority {
        // Nothing that is ever forked from a supervisor inherits the one writable mapping.
        mapping.advise(Advice::DontFork).map_err(half.failed("madvise"))?;
    }
    Ok(mapping)
}

fn readable(memfd: &OwnedFd, half: Half, bytes: usize) -> Result<MmapRaw, RegionFault> {
    MmapOptions::new().len(bytes).map_raw_read_only(memfd).map_err(half.failed("mmap for reading"))
}

/// A memfd of the right size whose header is complete; everything else in it is zero.
fn blank<T: Mapped>(boot: BootId) -> Result<OwnedFd, RegionFault> {
    let memfd = memfd(T::HALF, size_of::<T>())?;
    let words = Header::words(T::HALF.magic(), size_of::<T>(), boot);
    write_all(&memfd, T::HALF, &words.map(u64::to_le_bytes).concat(), 0)?;
    Ok(memfd)
}

fn memfd(half: Half, bytes: usize) -> Result<OwnedFd, RegionFault> {
    let name = match half {
        Half::Authority => c"floodgate-authority",
        Half::Shared => c"floodgate-shared",
    };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag that also forbids executing the memfd.
    let memfd = rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(
            |errno| if errno == Errno::INVAL { rustix::fs::memfd_create(name, flags) } else { Err(errno) },
        )
        .map_err(half.failed("memfd_create"))?;
    rustix::fs::ftruncate(&memfd, bytes as u64).map_err(half.failed("ftruncate"))?;
    Ok(memfd)
}

/// Adds what is missing, so that it may be called for a memfd that was sealed by a predecessor.
fn seal(memfd: &OwnedFd, half: Half) -> Result<(), RegionFault> {
    if !missing_seals(memfd, half)?.is_empty() {
        rustix::fs::fcntl_add_seals(memfd, half.seals()).map_err(half.failed("fcntl(F_ADD_SEALS)"))?;
    }
    Ok(())
}

fn missing_seals(memfd: &OwnedFd, half: Half) -> Result<SealFlags, RegionFault> {
    let seals = rustix::fs::fcntl_get_seals(memfd).map_err(half.failed("fcntl(F_GET_SEALS)"))?;
    Ok(half.seals().difference(seals))
}

/// Checks, before anything is mapped, that both memfds are what this build makes and belong together.
fn check_pair(authority: &OwnedFd, shared: &OwnedFd) -> Result<(), RegionFault> {
    let authority = check::<Authority>(authority)?;
    let shared = check::<Shared>(shared)?;
    if authority != shared {
        return Err(RegionFault::Unpaired { authority, shared });
    }
    Ok(())
}

fn check<T: Mapped>(memfd: &OwnedFd) -> Result<BootId, RegionFault> {
    let (half, expected) = (T::HALF, size_of::<T>() as u64);
    let missing = missing_seals(memfd, half)?;
    if !missing.is_empty() {
        return Err(RegionFault::Unsealed { half, missing: format!("{missing:?}") });
    }
    // The size is sealed, so that what is true here stays true.
    let stat = rustix::fs::fstat(memfd).map_err(half.failed("fstat"))?;
    let found = u64::try_from(stat.st_size).unwrap_or(0);
    let mut bytes = [0; HEADER_WORDS * 8];
    let read = rustix::io::pread(memfd, &mut bytes[..], 0).map_err(half.failed("pread"))?;
    let mut words = [0; HEADER_WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let [magic, layout, stated, boot @ ..] = words;
    if read != bytes.len() || magic != half.magic() {
        return Err(RegionFault::Magic { half });
    }
    if layout != LAYOUT_HASH {
        return Err(RegionFault::Layout { half, expected: LAYOUT_HASH, found: layout });
    }
    if found != expected || stated != expected {
        return Err(RegionFault::Size {
            half,
            expected,
            found: if found == expected { stated } else { found },
        });
    }
    Ok(BootId(boot))
}

/// Copies what is not zero, so that what nobody used stays unallocated.
fn copy_all(from: &OwnedFd, to: &OwnedFd, bytes: usize) -> Result<(), RegionFault> {
    let mut buffer = [0; 4096];
    let mut offset = 0;
    while offset < bytes as u64 {
        let read =
            rustix::io::pread(from, &mut buffer[..], offset).map_err(Half::Authority.failed("pread"))?;
        let Some(page) = buffer.get(..read).filter(|page| !page.is_empty()) else { break };
        if page.iter().any(|byte| *byte != 0) {
            write_all(to, Half::Authority, page, offset)?;
        }
        offset += read as u64;
    }
    Ok(())
}

fn write_all(memfd: &OwnedFd, half: Half, mut bytes: &[u8], mut offset: u64) -> Result<(), RegionFault> {
    while !bytes.is_empty() {
        let written = rustix::io::pwrite(memfd, bytes, offset).map_err(half.failed("pwrite"))?;
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

fn random_boot_id() -> Result<BootId, RegionFault> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes[..], GetRandomFlags::empty());
    filled.map_err(Half::Shared.failed("getrandom"))?;
    let halves = bytes.as_chunks().0;
    Ok(BootId([u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]))
}

#[cfg(test)]
mod tests;
