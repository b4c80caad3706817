//! The fields of one head: where they are, which are known, and what framing and connection control they
//! ask for.

use super::known::KnownHeader;
use super::lines::is_token_byte;
use super::{HeadFault, Span, Version};

/// One header field. The value is without surrounding white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub name_span: Span,
    pub value_span: Span,
    pub known: KnownHeader,
}

/// All fields of a head, in order. Reused from head to head, so that a warm connection does not allocate.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    list: Vec<Field>,
    /// Bits of the known names that occur.
    present: u128,
    content_length: Option<u64>,
    transfer_encoding: Chunking,
    closes: bool,
    keeps_alive: bool,
    /// `Connection` names fields besides its own options.
    nominates: bool,
}

/// What Transfer-Encoding says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunking {
    #[default]
    Absent,
    Chunked,
}

impl Fields {
    /// Takes over what `httparse` found in `bytes`.
    ///
    /// # Errors
    /// Repeated or malformed framing fields, and both framing fields together (RFC 9112 section 6.3): which
    /// of them another reader would believe is exactly what a smuggled request plays on.
    pub(super) fn fill(&mut self, headers: &[httparse::Header<'_>], bytes: &[u8]) -> Result<(), HeadFault> {
        self.clear();
        self.list.reserve(headers.len());
        for header in headers {
            let known = KnownHeader::classify(header.name.as_bytes());
            match known {
                KnownHeader::ContentLength => self.content_length(header.value)?,
                KnownHeader::TransferEncoding => self.transfer_encoding(header.value)?,
                KnownHeader::Connection => self.connection(header.value)?,
                _ => {}
            }
            self.present |= known.bit();
            self.list.push(Field {
                name_span: Span::of(header.name.as_bytes(), bytes),
                value_span: Span::of(header.value, bytes),
                known,
            });
        }
        if self.content_length.is_some() && self.transfer_encoding == Chunking::Chunked {
            return Err(HeadFault::Bad("Content-Length and Transfer-Encoding stand together."));
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        *self = Fields { list, ..Fields::default() };
    }

    #[must_use]
    #[inline]
    pub fn list(&self) -> &[Field] {
        &self.list
    }

    /// Whether a known name occurs.
    #[must_use]
    #[inline]
    pub fn has(&self, known: KnownHeader) -> bool {
        self.present & known.bit() != 0
    }

    /// The set of known names that occur, as [`KnownHeader::bit`]s.
    #[must_use]
    pub fn present(&self) -> u128 {
        self.present
    }

    /// The first value of a known name.
    #[must_use]
    #[inline]
    pub fn value<'b>(&self, known: KnownHeader, bytes: &'b [u8]) -> Option<&'b [u8]> {
        self.values(known, bytes).next()
    }

    /// Every value of a known name, in order.
    #[inline]
    pub fn values<'b>(&self, known: KnownHeader, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        let fields = if self.has(known) { self.list.as_slice() } else { &[] };
        fields
            .iter()
            .filter(move |field| field.known == known)
            .map(move |field| field.value_span.bytes(bytes))
    }

    /// Whether `Connection` names this field, which then belongs to this connection only (RFC 9110 section
    /// 7.6.1).
    #[must_use]
    #[inline]
    pub fn nominated(&self, bytes: &[u8], name: &[u8]) -> bool {
        self.nominates
            && self
                .values(KnownHeader::Connection, bytes)
                .flat_map(options)
                .any(|option| option.eq_ignore_ascii_case(name))
    }

    /// Whether [`Fields::nominated`] can be true for any name.
    #[must_use]
    #[inline]
    pub fn nominates(&self) -> bool {
        self.nominates
    }

    /// The declared length.
    #[must_use]
    pub fn declared_length(&self) -> Option<u64> {
        self.content_length
    }

    pub(super) fn chunking(&self) -> Chunking {
        self.transfer_encoding
    }

    /// Whether the connection may carry another message (RFC 9112 section 9.3).
    pub(super) fn persistent(&self, version: Version) -> bool {
        !self.closes && (version == Version::Http11 || self.keeps_alive)
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        const LENGTH_DIGITS_MAX: usize = 19;
        if self.content_length.is_some() {
            return Err(HeadFault::Bad("Content-Length is repeated."));
        }
        if value.is_empty() || value.len() > LENGTH_DIGITS_MAX || !value.iter().all(u8::is_ascii_digit) {
            return Err(HeadFault::Bad("Content-Length is not a number."));
        }
        // Nineteen digits stay below 2^64.
        self.content_length = Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.transfer_encoding == Chunking::Chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HeadFault::Bad("Transfer-Encoding is not a single chunked."));
        }
        self.transfer_encoding = Chunking::Chunked;
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        for option in options(value) {
            if !option.iter().all(|byte| is_token_byte(*byte)) {
                return Err(HeadFault::Bad("Connection holds an invalid option."));
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keeps_alive = true;
            } else {
                self.nominates = true;
            }
        }
        Ok(())
    }
}

/// Elements of a comma separated list, empty ones left out (RFC 9110 section 5.6.1).
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}
