//! Region names as text, remembered: ids are never reused, so a name that was read once stays right.

use crate::telemetry::log::line::escape;
use shm::names::{NameId, Names};

/// Texts by id, already escaped for a JSON string.
pub struct NameTexts {
    names: &'static Names,
    texts: Vec<Option<Box<[u8]>>>,
}

impl NameTexts {
    #[must_use]
    pub fn new(names: &'static Names) -> Self {
        NameTexts { names, texts: Vec::new() }
    }

    /// The name, escaped; `None` for 0 and for an id that is not (yet) known.
    pub fn find(&mut self, id: u16) -> Option<&[u8]> {
        let index = usize::from(id);
        if self.texts.get(index).is_none_or(Option::is_none) {
            let text = self.names.text(NameId::new(id)?)?;
            let mut escaped = Vec::with_capacity(text.len());
            escape(text.as_bytes(), &mut escaped);
            if self.texts.len() <= index {
                self.texts.resize_with(index + 1, || None);
            }
            self.texts[index] = Some(escaped.into_boxed_slice());
        }
        self.texts.get(index)?.as_deref()
    }
}
