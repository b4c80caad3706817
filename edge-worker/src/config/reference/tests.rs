//! The reference page names everything.

use super::settings_reference;
use crate::config::settings::{self, GROUPS};

#[test]
fn the_page_names_every_setting_and_every_url() {
    let page = settings_reference();
    for setting in settings::all() {
        assert!(page.contains(&format!("| `{}` | `{}` |", setting.name, setting.key)), "{}", setting.name);
    }
    for group in GROUPS {
        assert!(page.contains(&format!("\n## {}\n", group.title)), "{}", group.title);
    }
    for service in &crate::config::services::SERVICES {
        assert!(page.contains(&format!("| `{}` |", service.variable())), "{}", service.name);
    }
}

#[test]
fn every_row_of_a_table_has_its_columns() {
    for line in settings_reference().lines().filter(|line| line.starts_with('|')) {
        let cells = line.matches(" | ").count() + 1;
        assert!(line.starts_with("|---") || cells == 6 || cells == 9, "{line}");
    }
}
