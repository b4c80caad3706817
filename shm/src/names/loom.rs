//! Model of interning beside a reader.

use std::sync::Arc;

use super::*;
use crate::atomics::Zeroed;

#[test]
fn a_reader_finds_a_whole_name_or_none() {
    ::loom::model(|| {
        let names = Arc::new(Names::<2, 4>::zeroed());
        let writer_names = Arc::clone(&names);
        let thread = ::loom::thread::spawn(move || {
            let writer = AuthorityWriter::new();
            writer_names.intern(&writer, NameKind::Role, "customer-longer").expect("room");
        });
        if let Some(id) = names.find(NameKind::Role, "customer-longer") {
            assert_eq!(id.number(), 1);
        }
        let text = names.text(NameId::new(1).expect("not zero"));
        assert!(text.is_none_or(|text| text == "customer-longer"));
        thread.join().expect("the supervisor does not panic");
        assert!(names.find(NameKind::Role, "customer-longer").is_some());
    });
}
