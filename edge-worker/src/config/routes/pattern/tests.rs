//! Patterns, alternatives and rewrites as words.

use super::*;

fn what<T: std::fmt::Debug>(result: Result<T, Mistake>) -> String {
    result.expect_err("a mistake").what
}

#[test]
fn alternatives_are_written_out_and_parameters_stay() {
    let providers = ["mandrill".to_owned(), "other".to_owned()];
    let expand = |path: &str| alternatives(path, &providers).expect("valid");
    assert_eq!(expand("/a/{b,c}/{x}/{d,e}"), ["/a/b/{x}/d", "/a/b/{x}/e", "/a/c/{x}/d", "/a/c/{x}/e"]);
    assert_eq!(expand("/plain/**"), ["/plain/**"]);
    assert_eq!(expand("/h/{$WEBHOOK_PROVIDERS}"), ["/h/mandrill", "/h/other"]);
    assert_eq!(alternatives("/h/{$WEBHOOK_PROVIDERS}", &[]), Ok(Vec::new()));
}

#[test]
fn alternatives_are_bounded_and_closed() {
    assert!(what(alternatives("/a/{b", &[])).contains("without `}`"));
    let many = "/{a,b,c,d,e,f,g}".repeat(3);
    assert!(what(alternatives(&many, &[])).contains("too many paths"));
}

#[test]
fn a_pattern_is_literals_parameters_and_a_final_remainder() {
    let literal = |word: &str| Segment::Literal(word.to_owned());
    let read = segments("/api/V1/{venue_Id2}/a-b.c_~/**").expect("valid");
    let parameter = Segment::Parameter("venue_Id2".to_owned());
    assert_eq!(read, [literal("api"), literal("V1"), parameter, literal("a-b.c_~"), Segment::Rest]);
    for path in [
        "/",
        "/a//b",
        "/a/",
        "/a b",
        "/a;b",
        "/a%20",
        "/.",
        "/..",
        "/é",
        "/{}",
        "/{a b}",
        "/x{a}",
        "/*",
        "/Internal",
        "/a/internal/**",
    ] {
        assert!(what(segments(path)).contains("cannot be a segment"), "{path}");
    }
    assert!(what(segments("a/b")).contains("does not begin"));
    assert!(what(segments("/**/a")).contains("goes on after"));
    assert!(what(segments("/{a}/{a}")).contains("twice"));
    assert!(what(segments(&"/a".repeat(17))).contains("too many segments"));
    assert!(segments(&format!("/{}", "a".repeat(64))).is_ok());
    assert!(segments(&format!("/{}", "a".repeat(65))).is_err());
}

#[test]
fn a_rewrite_replaces_whole_leading_segments() {
    let path = "/api/v1/search/pro/**";
    assert_eq!(rewrite(path, "=").as_deref(), Ok(path));
    assert_eq!(rewrite(path, "/api/v1/search => /api/v1").as_deref(), Ok("/api/v1/pro/**"));
    assert_eq!(rewrite(path, "/api/v1 =>").as_deref(), Ok("/search/pro/**"));
    assert_eq!(rewrite("/a", "/a => /b").as_deref(), Ok("/b"));
    assert_eq!(rewrite(path, "/fixed").as_deref(), Ok("/fixed"));
    assert!(what(rewrite(path, "/api/v1/sea => /x")).contains("does not begin with"));
    assert!(what(rewrite(path, "/other => /x")).contains("does not begin with"));
}

#[test]
fn upstream_parts_point_into_the_pattern() {
    let pattern = segments("/a/{x}/b/{y}/**").expect("valid");
    let read = parts("/p/q/{y}/r/{x}/**", &pattern).expect("valid");
    let literal = |word: &str| Part::Literal(word.to_owned());
    assert_eq!(read, [literal("/p/q"), Part::Segment(3), literal("/r"), Part::Segment(1), Part::RestFrom(4)]);
    assert!(what(parts("/p/{z}/**", &pattern)).contains("{z}"));
    assert!(what(parts("/p/{x}", &pattern)).contains("drops what"));
    assert!(what(parts("/p/**", &segments("/a/{x}").expect("valid"))).contains("the path does not"));
    assert!(what(parts("/p/internal/**", &pattern)).contains("cannot be a segment"));
}
