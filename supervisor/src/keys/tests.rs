//! Which sets are taken, and who hears of them.

use super::*;
use edge_worker::config::tokens::Algorithm;
use edge_worker::config::tokens::keys::from_pem;
use edge_worker::config::{Sources, load};

const CURRENT: &str = include_str!("../../../tests/keys/current.public.pem");
const PREVIOUS: &str = include_str!("../../../tests/keys/previous.public.pem");
const EC: &str = include_str!("../../../tests/keys/ec.public.pem");

fn settings() -> TokenSettings {
    let environment = [("NODE_ENV", "development"), ("JWT_PUBLIC_KEY", CURRENT)];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let loaded = load(&Sources { environment, ..Sources::default() }).expect("a valid configuration");
    loaded.settings.worker.tokens
}

fn key(pem: &str, kid: &str) -> PublicKey {
    from_pem(pem, kid).expect("a fixture")
}

#[test]
fn a_changed_set_is_told_once_with_the_next_version() {
    let keys = Keys::new(&settings()).expect("usable");
    let mut seen = keys.watch();
    let mut told = || {
        let set = seen.borrow_and_update();
        (set.version, set.keys.len())
    };
    assert_eq!(told(), (1, 1));
    let change =
        keys.replace_files(vec![key(PREVIOUS, "current"), key(CURRENT, "previous")]).expect("usable");
    assert_eq!((change.added.len(), change.dropped.len(), change.kept.len()), (1, 0, 1));
    assert!(change.kept[0].starts_with("previous:"), "{:?}: its label changed, the key did not", change.kept);
    assert_eq!(told(), (2, 2));
    let same = keys.replace_files(vec![key(PREVIOUS, "current"), key(CURRENT, "previous")]).expect("usable");
    assert_eq!((same.added.len(), same.dropped.len(), same.kept.len()), (0, 0, 2));
    assert_eq!(told(), (2, 2), "what did not change is not told again");
    let change = keys.replace_files(vec![key(PREVIOUS, "current")]).expect("usable");
    assert!(change.dropped[0].starts_with("previous:"), "{:?}", change.dropped);
}

#[test]
fn a_set_that_cannot_be_used_changes_nothing() {
    let keys = Keys::new(&settings()).expect("usable");
    let seen = keys.watch();
    let many = (0..=KEYS_MAX).map(|index| key(CURRENT, &index.to_string())).collect();
    let mut broken = key(CURRENT, "broken");
    broken.algorithm = Algorithm::Rs256;
    broken.material = key(EC, "").material;
    for (set, why) in [
        (Vec::new(), Unusable::Empty),
        (vec![key(EC, "of an algorithm that is not listed")], Unusable::Empty),
        (many, Unusable::TooMany),
        (vec![broken], Unusable::Key(KeyFault::Unreadable("broken".to_owned()))),
    ] {
        assert_eq!(keys.replace_files(set), Err(why));
        assert_eq!((seen.borrow().version, seen.borrow().keys.len()), (1, 1));
    }
}
