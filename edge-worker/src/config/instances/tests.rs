//! Defaults and what cannot be.

use super::InstanceSettings;
use crate::config::sample::{self, DEVELOPMENT};

#[test]
fn the_defaults_stand_in_the_table_and_every_setting_arrives() {
    let read = |changes| sample::loaded(DEVELOPMENT, changes).settings.worker.instances;
    assert_eq!(read(&[]), InstanceSettings::default());
    let changed = read(&[
        ("FLOODGATE_EJECT_FAILURES", "7"),
        ("FLOODGATE_EJECT_MS", "200"),
        ("FLOODGATE_EJECT_MS_MAX", "300"),
        ("FLOODGATE_EJECTED_PERCENT_MAX", "0"),
        ("FLOODGATE_SLOW_START_MS", "0"),
        ("FLOODGATE_RESOLVE_MS", "400"),
    ]);
    let expected = InstanceSettings {
        eject_failures: 7,
        eject_ms: 200,
        eject_ms_max: 300,
        ejected_percent_max: 0,
        slow_start_ms: 0,
        resolve_ms: 400,
    };
    assert_eq!(changed, expected);
}

#[test]
fn the_longest_ejection_is_no_shorter_than_the_first() {
    let problem = "FLOODGATE_EJECT_MS_MAX: is shorter than FLOODGATE_EJECT_MS; lengthen it";
    assert_eq!(sample::problems(DEVELOPMENT, &[("FLOODGATE_EJECT_MS_MAX", "29999")]), [problem]);
}
