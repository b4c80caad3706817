//! Rows that compete for the same request.

use crate::config::routes::{Source, load};

fn problems(rows: &str) -> Vec<String> {
    let text = format!("routes = [\n{rows}\n]");
    match load(Some(Source { name: "f", text: &text }), &[], &[]) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn row(path: &str, methods: &str) -> String {
    format!(r#"{{ id = "A", path = "{path}", methods = "{methods}", service = "auth", access = "user" }},"#)
}

#[test]
fn rows_of_one_shape_must_not_share_a_method() {
    for (one, other) in [("/a", "/A"), ("/a/{x}", "/a/{y}"), ("/a/{x}/**", "/a/{z}/**"), ("/a", "/a")] {
        let found = problems(&format!("{}\n{}", row(one, "R PUT"), row(other, "PUT")));
        assert_eq!(found.len(), 1, "{one} {other}: {found:?}");
        let wanted = format!("f:3 routes[1]: `{other}` matches the same requests as f:2 routes[0]");
        assert!(found.concat().starts_with(&wanted), "{found:?}");
        assert!(problems(&format!("{}\n{}", row(one, "R PUT"), row(other, "POST"))).is_empty());
    }
}

#[test]
fn rows_of_different_shape_never_compete() {
    let rows = ["/a", "/a/**", "/{x}", "/{x}/**", "/a/{x}", "/a/b"].map(|path| row(path, "A")).join("\n");
    assert_eq!(problems(&rows), Vec::<String>::new());
}

#[test]
fn the_number_of_rows_is_bounded() {
    let words: Vec<String> = (0..256).map(|index| format!("w{index}")).collect();
    let alternatives = words.join(",");
    let rows: String = (0..17).map(|index| row(&format!("/a{index}/{{{alternatives}}}"), "R")).collect();
    let found = problems(&rows);
    assert!(found.concat().starts_with("routes: 4352 rows, more than 4096"), "{found:?}");
}
