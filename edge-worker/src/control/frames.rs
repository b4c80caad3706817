//! Frames of the life-cycle channel: versioned, length-prefixed, bounded. Sans-io.
//!
//! A frame is `length: u32` (little endian, of what follows), `version: u8`, `kind: u8`, then the kind's
//! numbers, little endian. A reader takes frames of its own and of older versions exactly, and of newer
//! versions what it understands: an unknown kind is skipped, an unknown tail is ignored. So version N serves
//! N-1 and N+1.

/// Version of this format.
pub const FRAME_VERSION: u8 = 1;
/// Bytes of one frame, its length prefix included. A longer one is a fault, whatever its version.
pub const FRAME_BYTES_MAX: usize = 256;

const PREFIX_BYTES: usize = 4;
const HEADER_BYTES: usize = 2;
const KIND_DRAIN: u8 = 1;
const KIND_READY: u8 = 2;
const KIND_DRAINED: u8 = 3;

const _: () = assert!(PREFIX_BYTES + HEADER_BYTES + 16 <= FRAME_BYTES_MAX, "the longest frame must fit");

/// What the supervisor tells a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// Accept what is queued, then nothing more; finish what is in flight; leave.
    Drain {
        /// Milliseconds from receipt after which what still runs is cut and counted. The supervisor kills a
        /// worker that stays noticeably longer.
        cut_after_ms: u64,
    },
}

/// What a worker tells the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToSupervisor {
    /// The worker accepts connections.
    Ready {
        /// `shm::workers::Driver` as a number: which kernel interface it uses.
        driver: u8,
    },
    /// The last frame of a worker that was told to drain; its process ends after it.
    Drained {
        /// Requests that were in flight when the drain began or came after it, and were answered.
        finished: u64,
        /// Requests whose connection was closed before they were answered.
        cut: u64,
    },
}

/// Why a channel cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    #[error("a frame of {0} bytes is outside the format's bounds")]
    Length(u32),
    #[error("version 0 of a frame does not exist")]
    Version,
    #[error("kind {0} does not exist in its version or does not travel in this direction")]
    Kind(u8),
    #[error("a frame of kind {0} has the wrong number of bytes")]
    Payload(u8),
}

impl ToWorker {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Drain { cut_after_ms } => append(out, KIND_DRAIN, &[], &[cut_after_ms]),
        }
    }

    /// Takes the first frame off the front of `bytes`, and skipped ones before it. `None` means that more
    /// bytes are needed; `bytes` then holds less than one frame.
    pub fn decode(bytes: &mut Vec<u8>) -> Result<Option<Self>, FrameFault> {
        decode_with(bytes, |kind, mut payload| match kind {
            KIND_DRAIN => {
                Known::frame(payload.u64().map(|cut_after_ms| Self::Drain { cut_after_ms }), payload)
            }
            _ => Known::Unknown,
        })
    }
}

impl ToSupervisor {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Ready { driver } => append(out, KIND_READY, &[driver], &[]),
            Self::Drained { finished, cut } => append(out, KIND_DRAINED, &[], &[finished, cut]),
        }
    }

    /// As [`ToWorker::decode`].
    pub fn decode(bytes: &mut Vec<u8>) -> Result<Option<Self>, FrameFault> {
        decode_with(bytes, |kind, mut payload| match kind {
            KIND_READY => Known::frame(payload.u8().map(|driver| Self::Ready { driver }), payload),
            KIND_DRAINED => {
                let finished = payload.u64();
                let cut = payload.u64();
                let frame = finished.zip(cut).map(|(finished, cut)| Self::Drained { finished, cut });
                Known::frame(frame, payload)
            }
            _ => Known::Unknown,
        })
    }
}

/// What a direction makes of one payload.
enum Known<T> {
    /// The kind exists; `None` if its numbers are missing, `rest` bytes are left over.
    Kind {
        frame: Option<T>,
        rest: usize,
    },
    Unknown,
}

impl<T> Known<T> {
    fn frame(frame: Option<T>, payload: Payload<'_>) -> Self {
        Known::Kind { frame, rest: payload.0.len() }
    }
}

/// Reads numbers from the front of a payload.
struct Payload<'a>(&'a [u8]);

impl Payload<'_> {
    fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u64(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*first))
    }
}

fn append(out: &mut Vec<u8>, kind: u8, small: &[u8], numbers: &[u64]) {
    let bytes = HEADER_BYTES + small.len() + 8 * numbers.len();
    debug_assert!(PREFIX_BYTES + bytes <= FRAME_BYTES_MAX);
    let length = u32::try_from(bytes).expect("a frame is bounded by FRAME_BYTES_MAX");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[FRAME_VERSION, kind]);
    out.extend_from_slice(small);
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn decode_with<T>(
    bytes: &mut Vec<u8>,
    read: impl Fn(u8, Payload<'_>) -> Known<T>,
) -> Result<Option<T>, FrameFault> {
    let mut taken = 0;
    let outcome = loop {
        let rest = bytes.get(taken..).unwrap_or_default();
        let Some(RawFrame { version, kind, payload }) = split(rest)? else { break None };
        taken += PREFIX_BYTES + HEADER_BYTES + payload.len();
        let newer = version > FRAME_VERSION;
        match read(kind, Payload(payload)) {
            Known::Kind { frame: Some(frame), rest } if rest == 0 || newer => break Some(frame),
            Known::Kind { .. } => return Err(FrameFault::Payload(kind)),
            Known::Unknown if newer => {}
            Known::Unknown => return Err(FrameFault::Kind(kind)),
        }
    };
    bytes.drain(..taken);
    Ok(outcome)
}

/// A whole frame whose kind was not looked at yet.
struct RawFrame<'a> {
    version: u8,
    kind: u8,
    payload: &'a [u8],
}

/// The first frame of `bytes`.
fn split(bytes: &[u8]) -> Result<Option<RawFrame<'_>>, FrameFault> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let stated = u32::from_le_bytes(*prefix);
    let length = usize::try_from(stated).map_err(|_| FrameFault::Length(stated))?;
    if !(HEADER_BYTES..=FRAME_BYTES_MAX - PREFIX_BYTES).contains(&length) {
        return Err(FrameFault::Length(stated));
    }
    match rest.get(..length) {
        None => Ok(None),
        Some([0, ..]) => Err(FrameFault::Version),
        Some([version, kind, payload @ ..]) => Ok(Some(RawFrame { version: *version, kind: *kind, payload })),
        Some(_) => Err(FrameFault::Length(stated)),
    }
}

#[cfg(test)]
mod tests;
