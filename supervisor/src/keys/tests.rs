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

fn region() -> &'static SupervisorRegion {
    Box::leak(Box::new(SupervisorRegion::create().expect("a region")))
}

fn keys(settings: &TokenSettings) -> Keys {
    Keys::new(settings, region()).expect("usable")
}

fn key(pem: &str, kid: &str) -> PublicKey {
    from_pem(pem, kid).expect("a fixture")
}

#[test]
fn a_changed_set_is_told_once_with_the_next_version() {
    let keys = keys(&settings());
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
    let keys = keys(&settings());
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

#[test]
fn fetched_keys_stand_beside_those_of_the_files_and_a_failure_keeps_them() {
    let mut renewable = settings();
    renewable.renewable = true;
    let keys = keys(&renewable);
    let seen = keys.watch();
    let kids = || seen.borrow().keys.iter().map(|key| key.kid.clone()).collect::<Vec<_>>();
    let renewal = |last| Renewal { last, quiet_until_ms: 7 };
    assert_eq!(seen.borrow().renewal, Some(Renewal { last: LastFetch::Failed, quiet_until_ms: 0 }));
    let succeeded = renewal(LastFetch::Succeeded);
    let found = vec![key(CURRENT, "current"), key(CURRENT, "k1"), key(EC, "not listed")];
    let change = keys.replace_fetched(found, succeeded).expect("usable");
    assert!(
        change.added.is_empty() && change.dropped.is_empty(),
        "the same key under another label is no new key"
    );
    assert_eq!(
        (kids(), seen.borrow().renewal),
        (vec!["current".to_owned(), "k1".to_owned()], Some(succeeded))
    );
    for useless in [vec![], vec![key(EC, "not listed")]] {
        assert_eq!(keys.replace_fetched(useless, succeeded), Err(Unusable::Empty));
    }
    let failed = renewal(LastFetch::Failed);
    keys.fetch_failed(failed);
    assert_eq!((kids().len(), seen.borrow().renewal), (2, Some(failed)));
    keys.replace_files(Vec::new()).expect("the fetched ones are left");
    assert_eq!((kids(), seen.borrow().renewal), (vec!["current".to_owned(), "k1".to_owned()], Some(failed)));
}

#[test]
fn a_node_waits_for_its_first_keys_only_where_there_are_none() {
    let mut bare = settings();
    bare.keys.clear();
    assert_eq!(Keys::new(&bare, region()).err(), Some(Unusable::Empty));
    bare.renewable = true;
    let region = region();
    let readiness = &region.authority().readiness;
    let keys = Keys::new(&bare, region).expect("they will be fetched");
    assert_eq!((readiness.public_keys(), readiness.keys_awaited()), (0, true));
    let renewal = Renewal { last: LastFetch::Succeeded, quiet_until_ms: 0 };
    keys.replace_fetched(vec![key(CURRENT, "k1")], renewal).expect("usable");
    assert_eq!((readiness.public_keys(), readiness.keys_awaited()), (1, false));
    assert_eq!(keys.replace_fetched(vec![key(EC, "k1")], renewal), Err(Unusable::Empty));
    assert_eq!(readiness.public_keys(), 1);
}
