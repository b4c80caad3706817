//! Model of interning beside a reader.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

const NAME: &str = "customer-longer";

#[test]
fn a_reader_finds_a_whole_name_or_none() {
    let seen = outcomes(|| {
        let names = Arc::new(Names::<2, 4>::zeroed());
        let reader = Arc::clone(&names);
        let thread = ::loom::thread::spawn(move || {
            let found = reader.find(NameKind::Role, NAME);
            assert!(found.is_none_or(|id| id.number() == 1 && reader.text(id).as_deref() == Some(NAME)));
            found.is_some()
        });
        let id = names.intern(&AuthorityWriter::new(), NameKind::Role, NAME).expect("room");
        let found = thread.join().expect("the reader saw no half name");
        assert_eq!(names.find(NameKind::Role, NAME), Some(id));
        found
    });
    assert_eq!(seen, BTreeSet::from([false, true]));
}

#[test]
fn an_id_that_counts_has_its_whole_text() {
    let seen = outcomes(|| {
        let names = Arc::new(Names::<2, 4>::zeroed());
        let reader = Arc::clone(&names);
        let thread = ::loom::thread::spawn(move || NameId::new(1).and_then(|id| reader.text(id)));
        names.intern(&AuthorityWriter::new(), NameKind::Role, NAME).expect("room");
        thread.join().expect("the reader does not panic")
    });
    assert_eq!(seen, BTreeSet::from([None, Some(NAME.to_owned())]));
}
