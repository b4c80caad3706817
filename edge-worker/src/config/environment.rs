//! Where values come from: command line, process environment, environment file, floodgate.toml, and their order.

use super::limits::{CONFIGURATION_FILE_BYTES_MAX, SECRET_FILE_BYTES_MAX};
use super::lookup::{Lookup, Value};
use super::problem::{Problem, Report};
use super::settings::{self, Form, Variable};
use super::{file, suggestion};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is read. Nothing else of the outside world reaches the configuration.
#[derive(Clone, Default)]
pub struct Sources {
    /// Variables set by options, name and value.
    pub command_line: Vec<(String, String)>,
    /// The process environment.
    pub environment: Vec<(String, String)>,
    /// An environment file; it must exist.
    pub environment_file: Option<PathBuf>,
    /// floodgate.toml. `None` takes the path that `FLOODGATE_CONFIG` names, if any.
    pub file: Option<PathBuf>,
}

/// Read when `--env-file` is not given, if it exists.
pub const ENVIRONMENT_FILE: &str = "/etc/floodgate/environment";

impl Sources {
    /// The sources of a running supervisor: this process's environment, and the usual environment file if
    /// none is named and it exists.
    #[must_use]
    pub fn of_process(
        command_line: Vec<(String, String)>,
        environment_file: Option<PathBuf>,
        file: Option<PathBuf>,
    ) -> Sources {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        let usual = Path::new(ENVIRONMENT_FILE);
        let environment_file = environment_file.or_else(|| usual.exists().then(|| usual.to_owned()));
        Sources { command_line, environment, environment_file, file }
    }

    /// Reads everything, checks each value against its rule, and resolves precedence.
    #[must_use]
    pub fn read(&self) -> Gathered {
        let mut gathering = Gathering::default();
        let assignments = self.environment_assignments(&mut gathering.report);
        let path = self.configuration_file(&assignments);
        let read = self.environment_file.iter().chain(&path).map(|path| path.display().to_string()).collect();
        let routes = path.and_then(|path| gathering.add_file(&path));
        for assignment in assignments {
            gathering.add(assignment);
        }
        let lookup = gathering.resolve();
        Gathered { lookup, file: routes, read }
    }

    /// All assignments but those of floodgate.toml, weakest source first.
    fn environment_assignments(&self, report: &mut Report) -> Vec<Assignment> {
        let mut all = Vec::new();
        if let Some(path) = &self.environment_file {
            match read_text(path, CONFIGURATION_FILE_BYTES_MAX) {
                Ok(text) => all.extend(parse_environment_file(&text, &path.display().to_string(), report)),
                Err(what) => report.problem(path.display().to_string(), what, "correct --env-file"),
            }
        }
        let plain = |source: Source| {
            move |(name, text): &(String, String)| Assignment {
                name: name.clone(),
                text: text.clone(),
                source,
                place: None,
            }
        };
        all.extend(self.environment.iter().map(plain(Source::Process)));
        all.extend(self.command_line.iter().map(plain(Source::CommandLine)));
        all
    }

    fn configuration_file(&self, assignments: &[Assignment]) -> Option<PathBuf> {
        let named = assignments
            .iter()
            .rfind(|assignment| assignment.name == "FLOODGATE_CONFIG" && !assignment.text.trim().is_empty());
        self.file.clone().or_else(|| named.map(|assignment| PathBuf::from(assignment.text.trim())))
    }
}

/// What [`Sources::read`] found.
pub struct Gathered {
    pub lookup: Lookup,
    /// The parsed floodgate.toml, for its routes.
    pub file: Option<file::File>,
    /// Paths of the files in which settings were looked for.
    pub read: Vec<String>,
}

impl Gathered {
    /// Whether a problem keeps a whole file, or a line that could say anything, from being read.
    #[must_use]
    pub fn hides_settings(&self, problem: &Problem) -> bool {
        let is_line = |rest: &str| rest.strip_prefix(':').is_some_and(|line| line.parse::<usize>().is_ok());
        self.read.iter().any(|path| {
            problem.place.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || is_line(rest))
        })
    }
}

/// Where a value was set, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Preset,
    File,
    EnvironmentFile,
    Process,
    CommandLine,
}

impl Source {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preset => "default",
            Self::File => "floodgate.toml",
            Self::EnvironmentFile => "environment file",
            Self::Process => "environment",
            Self::CommandLine => "command line",
        }
    }
}

/// One `NAME=value` of one source.
#[derive(Clone)]
pub struct Assignment {
    pub name: String,
    pub text: String,
    pub source: Source,
    /// File and line, where the source has them.
    pub place: Option<String>,
}

/// Assignments of one variable, still from several sources.
#[derive(Default)]
struct Gathering {
    /// Keyed by canonical name; the flag says that the value is the path of a file that holds it.
    values: BTreeMap<(String, bool), Vec<(Variable, Assignment)>>,
    ignored: Vec<String>,
    report: Report,
}

impl Gathering {
    fn add_file(&mut self, path: &Path) -> Option<file::File> {
        let shown = path.display().to_string();
        match read_text(path, CONFIGURATION_FILE_BYTES_MAX) {
            Ok(text) => {
                let parsed = file::File::parse(&shown, text, &mut self.report)?;
                for assignment in parsed.assignments(&mut self.report) {
                    self.add(assignment);
                }
                Some(parsed)
            }
            Err(what) => {
                self.report.problem(shown, what, "correct --config or FLOODGATE_CONFIG");
                None
            }
        }
    }

    /// An empty value counts as unset: orchestrators pass variables that nobody filled in.
    fn add(&mut self, assignment: Assignment) {
        let assignment = Assignment { text: assignment.text.trim().to_owned(), ..assignment };
        if assignment.text.is_empty() {
            return;
        }
        if let Some((variable, by_file)) = resolve_name(&assignment.name) {
            let key = (variable.canonical.clone(), by_file);
            self.values.entry(key).or_default().push((variable, assignment));
        } else if settings::is_ignored(&assignment.name) {
            self.ignored.push(assignment.name);
        } else {
            self.unknown(&assignment);
        }
    }

    /// A mistyped name must not silently leave a default in force. The process environment holds much that
    /// is not ours, so there only our own prefixes are errors.
    fn unknown(&mut self, assignment: &Assignment) {
        let name = &assignment.name;
        let known: Vec<String> =
            settings::all().flat_map(settings::Setting::variables).map(|pair| pair.0).collect();
        let known = || known.iter().map(String::as_str);
        let place =
            assignment.place.as_ref().map_or_else(|| name.clone(), |place| format!("{name} ({place})"));
        let ours = OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if assignment.source == Source::CommandLine || ours {
            self.report.problem(place, "is not a setting", suggestion::remedy(name, known()));
        } else if let Some(near) = suggestion::nearest(name, known()).filter(|_| name.len() >= 8) {
            self.report.notice(format!("{place} is unknown and ignored; did you mean {near}?"));
        } else if assignment.source == Source::EnvironmentFile {
            self.report.notice(format!("{place} is unknown and ignored"));
        }
    }

    fn resolve(mut self) -> Lookup {
        self.ignored.sort();
        self.ignored.dedup();
        if !self.ignored.is_empty() {
            self.report.notice(format!("accepted without effect: {}", self.ignored.join(", ")));
        }
        let mut report = std::mem::take(&mut self.report);
        let mut chosen = BTreeMap::new();
        let mut names: Vec<String> = self.values.keys().map(|(name, _)| name.clone()).collect();
        names.dedup();
        let mut faulty = Vec::new();
        for name in names {
            let direct = self.values.remove(&(name.clone(), false));
            let by_file = self.values.remove(&(name.clone(), true));
            if direct.is_some() && by_file.is_some() {
                let what = format!("{name} and {name}_FILE are both set");
                report.problem(&name, what, "keep one of them");
            }
            let from_file = direct.is_none();
            let value = direct
                .or(by_file)
                .and_then(|all| strongest(all, &mut report))
                .and_then(|value| if from_file { load_secret(value, &mut report) } else { Some(value) });
            match value {
                Some(value) => drop(chosen.insert(name, value)),
                None => faulty.push(name),
            }
        }
        Lookup::new(chosen, faulty, report)
    }
}

/// The variable that a name stands for, and whether it is the `_FILE` form.
fn resolve_name(name: &str) -> Option<(Variable, bool)> {
    if let Some(variable) = settings::find(name) {
        return Some((variable, false));
    }
    let variable = settings::find(name.strip_suffix("_FILE")?)?;
    (variable.setting.form != Form::Plain).then_some((variable, true))
}

/// The value of the strongest source. Names a variable that two sources set differently.
fn strongest(mut all: Vec<(Variable, Assignment)>, report: &mut Report) -> Option<Value> {
    all.sort_by_key(|(_, assignment)| std::cmp::Reverse(assignment.source));
    let mut rest = all.into_iter();
    let (variable, first) = rest.next()?;
    let place =
        first.place.as_ref().map_or_else(|| first.name.clone(), |at| format!("{} ({at})", first.name));
    for (_, other) in rest.filter(|(_, other)| other.text != first.text) {
        if other.source == first.source {
            let what = format!("is set twice, differently, in the {}", first.source.as_str());
            report.problem(&place, what, format!("keep one of {} and {}", first.name, other.name));
            return None;
        }
        report.notice(format!(
            "{} is set differently in the {} and the {}; the {} wins",
            first.name,
            first.source.as_str(),
            other.source.as_str(),
            first.source.as_str()
        ));
    }
    if first.source == Source::File
        && first.name == variable.canonical
        && variable.setting.form == Form::Secret
    {
        let remedy = format!("use {}_FILE, so that the file can be shown around", variable.canonical);
        report.warning(&place, "a secret stands in floodgate.toml", remedy);
    }
    Some(Value { text: first.text, source: first.source, place, setting: variable.setting })
}

/// Replaces the path in an `X_FILE` value by what the file holds, without its last line end.
fn load_secret(value: Value, report: &mut Report) -> Option<Value> {
    let path = Path::new(&value.text);
    let remedy = "name a file that the supervisor can read";
    let text = match read_text(path, SECRET_FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(what) => {
            report.problem(&value.place, format!("names a file that {what}"), remedy);
            return None;
        }
    };
    if value.setting.form == Form::Secret && is_readable_by_all(path) {
        report.warning(&value.place, "names a file that every user can read", "chmod 0400");
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
    if text.trim().is_empty() {
        report.problem(&value.place, "names a file that is empty", remedy);
        return None;
    }
    Some(Value { text, ..value })
}

fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// A whole file as text; the error completes "the file ...".
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    use std::io::Read;
    let fault = |error: std::io::Error| format!("cannot be read ({})", error.kind());
    let file = std::fs::File::open(path).map_err(fault)?;
    let mut text = String::new();
    file.take(bytes_max + 1).read_to_string(&mut text).map_err(fault)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > bytes_max) {
        return Err(format!("is larger than {bytes_max} bytes"));
    }
    Ok(text)
}

/// `NAME=value` lines as systemd reads them: `#` and `;` comments, quotes that may span lines.
fn parse_environment_file(text: &str, path: &str, report: &mut Report) -> Vec<Assignment> {
    let mut all: Vec<Assignment> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let place = format!("{path}:{}", index + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let assignment = line.strip_prefix("export ").unwrap_or(line).split_once('=');
        let Some((name, value)) = assignment.filter(|(name, _)| is_variable_name(name.trim())) else {
            report.problem(place, "is not NAME=value", "correct the line or start it with #");
            continue;
        };
        let (name, mut value) = (name.trim().to_owned(), value.trim().to_owned());
        if let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            let mut quoted = unquote(&value, quote);
            while quoted.is_none() {
                let Some((_, next)) = lines.next() else { break };
                value = format!("{value}\n{}", next.trim_end());
                quoted = unquote(&value, quote);
            }
            let Some((text, rest)) = quoted else {
                report.problem(place, "opens a quote that is never closed", "close it");
                return all;
            };
            if !rest.is_empty() {
                report.problem(
                    place,
                    "has text after its closing quote",
                    "put comments on lines of their own",
                );
                continue;
            }
            value = text;
        }
        if all.iter().any(|other| other.name == name) {
            report.problem(place, format!("sets {name} a second time"), "keep one of the lines");
            continue;
        }
        all.push(Assignment { name, text: value, source: Source::EnvironmentFile, place: Some(place) });
    }
    all
}

fn is_variable_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(legal) && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// What stands between the quote at the start and its partner, and what follows; `None` while it is open.
/// Double quotes know `\"` and `\\`.
fn unquote(value: &str, quote: char) -> Option<(String, String)> {
    let mut text = String::new();
    let mut letters = value.chars();
    letters.next();
    while let Some(letter) = letters.next() {
        if letter == quote {
            return Some((text, letters.as_str().trim().to_owned()));
        }
        let escaped = letters.clone().next().filter(|next| matches!(next, '"' | '\\'));
        match escaped.filter(|_| letter == '\\' && quote == '"') {
            Some(next) => {
                letters.next();
                text.push(next);
            }
            None => text.push(letter),
        }
    }
    None
}

/// Unknown variables that start like this are mistakes wherever they stand.
const OWN_PREFIXES: &[&str] =
    &["FLOODGATE_", "HEALTH_PATH_", "UPSTREAM_TOKEN_", "CIRCUIT_BREAKER_", "SUNSET_"];

#[cfg(test)]
mod tests;
