//! The rules of style that a machine can check. Each test lists every place that breaks its rule.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Directories that hold Rust of ours.
const SOURCE_DIRECTORIES: [&str; 5] = ["shm", "edge-worker", "supervisor", "tests", "benches"];
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 60;
/// rustfmt keeps code to 110; comments it leaves alone may be a little longer.
const LINE_CHARACTERS_MAX: usize = 120;

/// Functions that are one `match` or table and therefore may be long: `file::function`.
const LONG_TABLES: [&str; 1] = ["edge-worker/src/pipeline/rejection.rs::sentence"];

const FORBIDDEN_MODULES: [&str; 8] =
    ["common", "utils", "helpers", "misc", "types", "manager", "service", "handler"];

/// The only files of product code with `unsafe` in them.
const UNSAFE_FILES: [&str; 2] = ["shm/src/region.rs", "supervisor/src/process/sys.rs"];

struct Source {
    /// Relative to the repository.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Lines with their numbers, without comments and without the insides of string literals.
    fn code(&self) -> impl Iterator<Item = (usize, String)> {
        let code = code_of(&self.text);
        let lines: Vec<String> = code.lines().map(str::to_owned).collect();
        lines.into_iter().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for directory in SOURCE_DIRECTORIES {
        collect(&root().join(directory), &mut found);
    }
    assert!(found.len() > 20, "the sources are where they are expected");
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
            found.push(Source { path: relative, text });
        }
    }
}

/// The text with comments removed and string literals emptied; line breaks stay where they are.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = match character {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            'r' if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => raw_string_length(rest),
            // A quote as a character literal does not begin a string.
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\\"'") => 4,
            _ => 0,
        };
        if skipped == 0 {
            code.push(character);
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        } else {
            let (gone, after) = rest.split_at(skipped);
            code.extend(gone.chars().filter(|c| *c == '\n'));
            rest = after;
        }
    }
    code
}

/// Bytes of the string literal at the start, its quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (position, character) in text.char_indices().skip(1) {
        match character {
            '"' if !escaped => return position + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Bytes of the raw string at the start; 0 if there is none.
fn raw_string_length(text: &str) -> usize {
    let hashes = text.chars().skip(1).take_while(|c| *c == '#').count();
    let opening = 1 + hashes;
    if text.as_bytes().get(opening) != Some(&b'"') {
        return 0;
    }
    let closing = format!("\"{}", "#".repeat(hashes));
    let inside = text.get(opening + 1..).unwrap_or_default();
    inside.find(&closing).map_or(text.len(), |end| opening + 1 + end + closing.len())
}

/// Whether `word` stands in the code with no letter, digit or underscore beside it.
fn has_word(code: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(start, _)| {
        let before = code.get(..start).and_then(|text| text.chars().next_back());
        let after = code.get(start + word.len()..).and_then(|text| text.chars().next());
        !is_part(before) && !is_part(after)
    })
}

/// Every line of code, outside `allowed`, that holds one of the words.
fn uses(words: &[&str], allowed: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for source in sources().iter().filter(|source| !allowed(source)) {
        for (number, code) in source.code() {
            places.extend(
                words
                    .iter()
                    .filter(|word| has_word(&code, word))
                    .map(|word| format!("{}:{number}: {word}", source.path)),
            );
        }
    }
    places
}

#[track_caller]
fn none(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}\n{}", places.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = |source: &&Source| {
        let first = source.text.lines().next().unwrap_or_default();
        // `foo/tests.rs` says by its name what it is for.
        let letters_min = if source.path.ends_with("/tests.rs") { 5 } else { 10 };
        first.strip_prefix("//! ").is_none_or(|sentence| sentence.trim().len() < letters_min)
    };
    let places: Vec<String> = sources().iter().filter(silent).map(|source| source.path.clone()).collect();
    none("the first line of a file is `//!` and a sentence about its purpose", &places);
}

#[test]
fn files_are_short() {
    let places: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_test() && source.text.lines().count() > FILE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()))
        .collect();
    none("a file has at most 600 lines", &places);
}

#[test]
fn functions_are_short() {
    let mut places = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (name, number, length) in functions(&source.text) {
            let listed = LONG_TABLES.contains(&format!("{}::{name}", source.path).as_str());
            if length > FUNCTION_LINES_MAX && !listed {
                places.push(format!("{}:{number}: {name} has {length} lines", source.path));
            }
        }
    }
    none("a function has at most 60 lines; a table may be listed in LONG_TABLES", &places);
}

/// Name, first line and length of every function, by the indentation that rustfmt guarantees.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some(name) = function_name(trimmed) else { continue };
        let indentation = line.len() - trimmed.len();
        let closing = format!("{}}}", " ".repeat(indentation));
        let rest = lines.get(index..).unwrap_or_default();
        let opens = rest.iter().position(|line| line.ends_with('{')).unwrap_or(0);
        let ends = rest.iter().position(|line| **line == closing).unwrap_or(0);
        let one_line = line.ends_with('}') || line.ends_with(';');
        if !one_line && ends > opens {
            found.push((name, index + 1, ends + 1));
        }
    }
    found
}

fn function_name(trimmed: &str) -> Option<String> {
    let mut rest = trimmed;
    for prefix in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    Some(name.split(['(', '<']).next()?.to_owned())
}

#[test]
fn lines_fit() {
    let mut places = Vec::new();
    for source in sources() {
        for (index, line) in source.text.lines().enumerate() {
            // A string that cannot be broken without hiding it from a search may be longer.
            if line.chars().count() > LINE_CHARACTERS_MAX && !line.contains('"') {
                places.push(format!("{}:{}", source.path, index + 1));
            }
        }
    }
    none("a line has at most 120 characters", &places);
}

#[test]
fn no_module_is_a_drawer() {
    let is_drawer = |source: &&Source| {
        let path = Path::new(&source.path);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        FORBIDDEN_MODULES.contains(&stem)
            || FORBIDDEN_MODULES.iter().any(|name| source.path.contains(&format!("/{name}/")))
    };
    let places: Vec<String> = sources().iter().filter(is_drawer).map(|source| source.path.clone()).collect();
    none("a module is named after what is in it", &places);
}

#[test]
fn tests_stand_in_files_of_their_own() {
    let mut places = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (number, code) in source.code() {
            if code.trim_start().starts_with("mod tests {") {
                places.push(format!("{}:{number}", source.path));
            }
        }
    }
    none("tests are in foo/tests.rs, so that editing one does not rebuild the library", &places);
}

#[test]
fn names_of_tests_are_sentences() {
    let mut places = Vec::new();
    for source in sources() {
        for (name, number, _) in functions(&source.text) {
            if name.starts_with("test_") {
                places.push(format!("{}:{number}: {name}", source.path));
            }
        }
    }
    none("a test is named by what holds, without `test_`", &places);
}

#[test]
fn accessors_are_named_after_what_they_give() {
    let mut places = Vec::new();
    for source in sources() {
        let getters = functions(&source.text).into_iter().filter(|function| function.0.starts_with("get_"));
        places.extend(getters.map(|(name, number, _)| format!("{}:{number}: {name}", source.path)));
    }
    none("no `get_` functions", &places);
}

#[test]
fn unsafe_stays_in_its_files() {
    let allowed = |source: &Source| {
        source.is_test()
            || UNSAFE_FILES.contains(&source.path.as_str())
            || source.path.starts_with("benches/")
    };
    none("unsafe code only in the files that are reviewed for it", &uses(&["unsafe"], allowed));
}

#[test]
fn the_worker_forbids_unsafe() {
    let text = std::fs::read_to_string(root().join("edge-worker/src/lib.rs")).expect("the crate exists");
    assert!(text.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn atomics_are_named_in_one_file() {
    let allowed = |source: &Source| {
        source.path == "shm/src/atomics.rs" || source.is_test() || source.path.starts_with("benches/")
    };
    let words = [
        "AtomicU8",
        "AtomicU16",
        "AtomicU32",
        "AtomicU64",
        "AtomicI64",
        "AtomicUsize",
        "AtomicBool",
        "AtomicPtr",
    ];
    let mut places = Vec::new();
    for source in sources().iter().filter(|source| !allowed(source)) {
        for (number, code) in source.code() {
            if words.iter().any(|word| has_word(&code, word)) && code.contains("sync::atomic") {
                places.push(format!("{}:{number}", source.path));
            }
        }
    }
    none("std atomics are named in shm/src/atomics.rs alone, where loom replaces them", &places);
}

#[test]
fn the_runtime_stays_behind_the_net_module() {
    let allowed = |source: &Source| {
        source.path.starts_with("edge-worker/src/net/")
            || source.path == "edge-worker/src/worker.rs"
            || source.path.starts_with("benches/")
            || source.is_test()
    };
    none("monoio only under edge-worker/src/net/ and in worker.rs", &uses(&["monoio"], allowed));
}

#[test]
fn clocks_are_read_in_one_place() {
    let allowed = |source: &Source| {
        !source.path.starts_with("edge-worker/src/") || source.path.ends_with("/clock.rs") || source.is_test()
    };
    none("time only through clock.rs", &uses(&["Instant::now", "SystemTime::now"], allowed));
}

#[test]
fn workers_share_nothing_inside() {
    // What the TLS library is given must be such that threads could share it.
    let allowed = |source: &Source| {
        !source.path.starts_with("edge-worker/src/")
            || source.path == "edge-worker/src/net/tls.rs"
            || source.path == "edge-worker/src/net/tls/tickets.rs"
            || source.is_test()
    };
    none("a worker has one thread: Rc and Cell", &uses(&["Arc", "Mutex", "RwLock"], allowed));
}

#[test]
fn tests_do_not_sleep() {
    let allowed = |source: &Source| !source.is_test() || source.path == "tests/harness/polling.rs";
    none("tests wait for something, never for a time", &uses(&["thread::sleep"], allowed));
}

#[test]
fn no_file_names_a_machine() {
    let machine_paths =
        [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let mut places = Vec::new();
    for source in sources() {
        for (index, line) in source.text.lines().enumerate() {
            if machine_paths.iter().any(|path| line.contains(path)) {
                places.push(format!("{}:{}", source.path, index + 1));
            }
        }
    }
    none("no path of somebody's machine", &places);
}

#[test]
fn dependencies_point_one_way() {
    let rules: [(&str, &[&str]); 2] =
        [("shm", &["edge-worker", "supervisor"]), ("edge-worker", &["supervisor"])];
    let mut places = Vec::new();
    for (member, above) in rules {
        let manifest = read(&format!("{member}/Cargo.toml"));
        for name in above {
            if manifest.lines().any(|line| line.starts_with(&format!("{name}.workspace"))) {
                places.push(format!("{member} depends on {name}"));
            }
        }
    }
    none("shm <- edge-worker <- supervisor", &places);
}

#[test]
fn every_dependency_is_justified_and_used() {
    let manifest = read("Cargo.toml");
    let table = section(&manifest, "[workspace.dependencies]");
    let members =
        ["Cargo.toml", "shm/Cargo.toml", "edge-worker/Cargo.toml", "supervisor/Cargo.toml"].map(read);
    let mut places = Vec::new();
    let mut seen = BTreeSet::new();
    for line in table.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
        let name = line.split([' ', '=']).next().unwrap_or_default();
        assert!(seen.insert(name), "{name} twice");
        let ours = line.contains("path =");
        let reason = line.rsplit_once("# ").map_or("", |parts| parts.1);
        if !ours && reason.len() < 10 {
            places.push(format!("{name} has no justification"));
        }
        if !members.iter().any(|member| member.contains(&format!("\n{name}.workspace"))) {
            places.push(format!("{name} is used by no crate"));
        }
    }
    none("each dependency has a comment that says why, and a user", &places);
}

#[test]
fn crates_take_their_versions_from_the_workspace() {
    let mut places = Vec::new();
    for member in ["shm", "edge-worker", "supervisor"] {
        let manifest = read(&format!("{member}/Cargo.toml"));
        for heading in ["[dependencies]", "[dev-dependencies]"] {
            let lines = section(&manifest, heading).lines().filter(|line| line.contains('='));
            let own = lines.filter(|line| !line.starts_with('#') && !line.contains("workspace"));
            places.extend(own.map(|line| format!("{member}: {line}")));
        }
    }
    none("versions stand in the root manifest alone", &places);
}

#[test]
fn there_are_three_libraries() {
    let manifest = read("Cargo.toml");
    assert!(manifest.contains(r#"members = [".", "shm", "edge-worker", "supervisor"]"#));
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// The lines of a TOML table up to the next heading.
fn section<'text>(manifest: &'text str, heading: &str) -> &'text str {
    let after = manifest.split_once(heading).map_or("", |parts| parts.1);
    after.split("\n[").next().unwrap_or_default()
}

#[test]
fn strings_and_comments_are_not_code() {
    let text =
        "let a = \"unsafe \\\" x\\\n  unsafe\"; // unsafe\nlet b = r#\"unsafe \" \"#; let c = '\"'; unsafe";
    let code = code_of(text);
    assert_eq!(code.lines().count(), 3);
    assert_eq!(code.matches("unsafe").count(), 1, "{code}");
}
