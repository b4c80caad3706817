//! Where records begin and end in a stream of ciphertext (RFC 8446 section 5.1). A connection in the middle of one is
//! not idle: what the record will turn out to be cannot be known.

const HEADER_BYTES: u8 = 5;

/// How far the stream has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Bytes seen of the header that is being read.
    header: u8,
    /// The length that it states so far.
    length: u16,
    /// Bytes of the record that are still to come.
    left: u16,
}

impl Records {
    /// Goes on by these bytes.
    pub fn note(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let taken = usize::from(self.left).min(bytes.len());
                self.left -= taken as u16;
                bytes = bytes.get(taken..).unwrap_or_default();
                continue;
            }
            bytes = rest;
            // Type and version, then the length, its high byte first.
            if self.header >= HEADER_BYTES - 2 {
                self.length = self.length << 8 | u16::from(*first);
            }
            self.header += 1;
            if self.header == HEADER_BYTES {
                *self = Records { left: self.length, ..Records::default() };
            }
        }
    }

    /// No record has begun that has not ended.
    #[must_use]
    pub fn is_between(self) -> bool {
        self == Records::default()
    }
}

#[cfg(test)]
mod tests;
