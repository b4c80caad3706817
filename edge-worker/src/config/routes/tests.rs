//! The table as workers receive it.

use super::*;

#[test]
fn the_table_survives_the_way_to_a_worker() {
    let rows = load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid");
    let sent = serde_json::to_vec(&rows).expect("rows can be written");
    assert_eq!(serde_json::from_slice::<Vec<Row>>(&sent).expect("rows can be read"), rows);
}
