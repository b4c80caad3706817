//! Append-only ids for the texts that configuration brings: routes, services, roles, permissions, rules,
//! labels. Generations with different configuration share one region, so that every index stored in it is
//! such an id; an id is never reused, and its text never changes.
//!
//! Writer: the supervisor, through its `AuthorityWriter`. Readers: workers, read-only: they only load.
//! Order of writing: text, then `count` (the id is taken), then the index (the id can be found). A supervisor
//! that dies before `count` leaves nothing; one that dies before the index leaves an id that nobody finds,
//! and the next supervisor gives the text another one. A reader sees a text whole or not at all.

use std::num::NonZeroU16;

use crate::atomics::Word;
use crate::layout::{AuthorityWriter, Field, Structure};
use crate::words::{Text, checksum, words_for};

/// The table: up to `ENTRIES` names, found through `INDEX` words of open addressing; see the file's head.
#[repr(C, align(128))]
pub struct Names<const ENTRIES: usize = 4096, const INDEX: usize = 8192> {
    count: Word,
    reserved: [Word; 15],
    /// Upper 48 bits: of the name's hash. Lower 16 bits: the id. Zero: empty, and the end of a search.
    index: [Word; INDEX],
    entries: [Name; ENTRIES],
}

/// One name, written once.
#[repr(C)]
pub(crate) struct Name {
    hash: Word,
    /// Length in bytes in the low eight bits, kind above.
    kind_and_length: Word,
    text: [Word; TEXT_WORDS],
}

/// The number of a name; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(NonZeroU16);

/// What a name names. The same text may stand once under each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    Route = 1,
    Service,
    Role,
    Permission,
    Rule,
    Label,
}

/// Why a name got no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("the region holds {0} names and takes no more until it is made anew")]
    Full(usize),
    #[error("a name is {0} bytes long; at most {NAME_BYTES_MAX} fit")]
    TooLong(usize),
}

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 112;

impl NameId {
    /// An id that was stored as a number; `None` for zero.
    #[must_use]
    pub fn new(number: u16) -> Option<NameId> {
        NonZeroU16::new(number).map(NameId)
    }

    #[must_use]
    pub fn number(self) -> u16 {
        self.0.get()
    }
}

impl<const ENTRIES: usize, const INDEX: usize> Names<ENTRIES, INDEX> {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Names",
        bytes: size_of::<Self>(),
        fields: &[
            Field("count", std::mem::offset_of!(Self, count), size_of::<Word>()),
            Field("reserved", std::mem::offset_of!(Self, reserved), size_of::<[Word; 15]>()),
            Field("index", std::mem::offset_of!(Self, index), size_of::<[Word; INDEX]>()),
            Field("entries", std::mem::offset_of!(Self, entries), size_of::<[Name; ENTRIES]>()),
        ],
    };

    /// A search ends at an empty word, and ids fit 16 bits.
    const SIZES: () = assert!(INDEX > ENTRIES && INDEX.is_power_of_two() && ENTRIES < 65_536);

    /// The id of a name, if it has one. Meant for start-up: keep the id.
    #[must_use]
    pub fn find(&self, kind: NameKind, text: &str) -> Option<NameId> {
        let text = Text::<NAME_BYTES_MAX>::new(text)?;
        let hash = hash_of(kind, &text);
        for word in self.probe(hash) {
            // Partner: the publication of the index word in `intern`.
            let found = word.observe();
            if found == 0 {
                return None;
            }
            let id = NameId::new(id_part(found));
            if found & HASH_MASK == hash & HASH_MASK && id.is_some_and(|id| self.is(id, kind, &text)) {
                return id;
            }
        }
        None
    }

    /// The text of an id. Allocates: for logs and metrics, not for requests.
    #[must_use]
    pub fn text(&self, id: NameId) -> Option<String> {
        self.read(id).map(|(_, text)| text.as_str().to_owned())
    }

    #[must_use]
    pub fn kind(&self, id: NameId) -> Option<NameKind> {
        self.read(id).map(|(kind, _)| kind)
    }

    /// Ids given so far.
    #[must_use]
    pub fn count(&self) -> usize {
        // Partner: the publication of `count` in `intern`. Never trusted beyond the table's end.
        usize::try_from(self.count.observe()).map_or(ENTRIES, |count| count.min(ENTRIES))
    }

    /// The id of a name, a new one if it has none yet.
    pub fn intern(&self, writer: &AuthorityWriter, kind: NameKind, text: &str) -> Result<NameId, NameFault> {
        let _turn = writer.turn();
        if let Some(id) = self.find(kind, text) {
            return Ok(id);
        }
        let text = Text::<NAME_BYTES_MAX>::new(text).ok_or(NameFault::TooLong(text.len()))?;
        let hash = hash_of(kind, &text);
        let number = self.count();
        let entry = self.entries.get(number).ok_or(NameFault::Full(ENTRIES))?;
        let home = self.probe(hash).find(|word| word.load() == 0).ok_or(NameFault::Full(ENTRIES))?;
        let id = u16::try_from(number + 1).ok().and_then(NameId::new).ok_or(NameFault::Full(ENTRIES))?;

        entry.hash.store(hash);
        entry.kind_and_length.store((kind as u64) << 8 | text.len() as u64);
        for (word, value) in entry.text.iter().zip(text.words()) {
            word.store(value);
        }
        // Partner: `count` above. From here on the id belongs to this text.
        self.count.publish(u64::from(id.number()));
        // Partner: `find`.
        home.publish(hash & HASH_MASK | u64::from(id.number()));
        Ok(id)
    }

    fn is(&self, id: NameId, kind: NameKind, text: &Text<NAME_BYTES_MAX>) -> bool {
        self.read(id).is_some_and(|(own_kind, own_text)| own_kind == kind && own_text == *text)
    }

    fn read(&self, id: NameId) -> Option<(NameKind, Text<NAME_BYTES_MAX>)> {
        let number = usize::from(id.number());
        if number > self.count() {
            return None;
        }
        let entry = self.entries.get(number - 1)?;
        let kind_and_length = entry.kind_and_length.load();
        let length = u8::try_from(kind_and_length & 0xff).ok()?;
        let mut words = [0; TEXT_WORDS];
        let used = words.get_mut(..words_for(usize::from(length)))?;
        for (word, own) in used.iter_mut().zip(&entry.text) {
            *word = own.load();
        }
        let text = Text::take(length, &mut &words[..])?;
        Some((NameKind::from_word(kind_and_length >> 8)?, text))
    }

    /// The index words where a hash may stand, in the order of search.
    fn probe(&self, hash: u64) -> impl Iterator<Item = &Word> {
        let () = Self::SIZES;
        let start = usize::try_from(hash >> 16).unwrap_or(0) & (INDEX - 1);
        self.index[start..].iter().chain(&self.index[..start])
    }
}

impl Name {
    pub(crate) const STRUCTURE: Structure = Structure {
        name: "Name",
        bytes: size_of::<Name>(),
        fields: &[
            Field("hash", std::mem::offset_of!(Name, hash), size_of::<Word>()),
            Field("kind_and_length", std::mem::offset_of!(Name, kind_and_length), size_of::<Word>()),
            Field("text", std::mem::offset_of!(Name, text), size_of::<[Word; TEXT_WORDS]>()),
        ],
    };
}

impl NameKind {
    fn from_word(word: u64) -> Option<NameKind> {
        use NameKind::{Label, Permission, Role, Route, Rule, Service};
        [Route, Service, Role, Permission, Rule, Label].into_iter().find(|kind| *kind as u64 == word)
    }
}

fn hash_of(kind: NameKind, text: &Text<NAME_BYTES_MAX>) -> u64 {
    let mut words = [0; TEXT_WORDS + 1];
    words[0] = text.len() as u64;
    for (word, own) in words[1..].iter_mut().zip(text.words()) {
        *word = own;
    }
    checksum(kind as u64, &words)
}

fn id_part(index_word: u64) -> u16 {
    u16::try_from(index_word & !HASH_MASK).expect("masked to 16 bits")
}

const TEXT_WORDS: usize = words_for(NAME_BYTES_MAX);
const HASH_MASK: u64 = !0xffff;

#[cfg(test)]
impl<const ENTRIES: usize, const INDEX: usize> crate::atomics::Zeroed for Names<ENTRIES, INDEX> {
    fn zeroed() -> Self {
        use crate::atomics::Zeroed;
        Names {
            count: Word::zeroed(),
            reserved: Zeroed::zeroed(),
            index: Zeroed::zeroed(),
            entries: Zeroed::zeroed(),
        }
    }
}

#[cfg(test)]
impl crate::atomics::Zeroed for Name {
    fn zeroed() -> Name {
        use crate::atomics::Zeroed;
        Name { hash: Word::zeroed(), kind_and_length: Word::zeroed(), text: Zeroed::zeroed() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom;
