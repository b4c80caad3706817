//! Slots, texts and checksums.

use super::*;

#[test]
fn a_slot_number_is_below_the_maximum() {
    assert_eq!(WorkerSlot::new(SLOTS_MAX - 1).map(WorkerSlot::index), Some(SLOTS_MAX - 1));
    assert_eq!(WorkerSlot::new(SLOTS_MAX), None);
    assert_eq!(WorkerSlot::new(256), None);
}

#[test]
fn a_text_that_does_not_fit_is_refused_and_never_cut() {
    assert_eq!(Text::<8>::new("12345678").expect("eight bytes fit").as_str(), "12345678");
    assert!(Text::<8>::new("123456789").is_none());
    assert!(Text::<8>::new("").expect("an empty text fits").is_empty());
}

#[test]
fn a_text_survives_its_way_through_words() {
    for sample in ["", "a", "12345678", "123456789", "Zürich, 東京"] {
        let text = Text::<24>::new(sample).expect("the samples fit");
        let words: Vec<u64> = text.words().chain([77]).collect();
        let mut rest = words.as_slice();
        let length = u8::try_from(sample.len()).expect("short");
        assert_eq!(Text::<24>::take(length, &mut rest).expect("it was just written").as_str(), sample);
        assert_eq!(rest, [77], "exactly the words of the text are taken");
    }
}

#[test]
fn words_that_are_no_text_are_refused() {
    let invalid = [u64::from_le_bytes([0xff; 8])];
    assert!(Text::<8>::take(8, &mut invalid.as_slice()).is_none(), "not UTF-8");
    assert!(Text::<8>::take(9, &mut [0, 0].as_slice()).is_none(), "longer than the text may be");
    assert!(Text::<16>::take(16, &mut [0].as_slice()).is_none(), "fewer words than the length needs");
    assert!(Text::<8>::take(1, &mut [0x4241].as_slice()).is_none(), "bytes behind the end");
}

#[test]
fn a_checksum_depends_on_every_word_and_on_the_seed() {
    let sum = checksum(1, &[1, 2, 3]);
    assert_ne!(sum, checksum(2, &[1, 2, 3]));
    assert_ne!(sum, checksum(1, &[1, 2, 4]));
    assert_ne!(sum, checksum(1, &[1, 2]));
    assert_ne!(sum, checksum(1, &[2, 1, 3]));
}
