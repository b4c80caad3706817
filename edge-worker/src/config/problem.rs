//! What is wrong with a configuration. All problems are collected, then all are printed.

use std::fmt;

/// One mistake: where it stands, what is wrong, what to do. Never holds a value that may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable (`JWT_PUBLIC_KEY`) or file position (`floodgate.toml:12 routes[3].access`).
    pub place: String,
    pub what: String,
    pub remedy: String,
}

impl Problem {
    pub fn new(place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Problem { place: place.into(), what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

/// Everything that reading a configuration has to say. The start is refused if `problems` is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub problems: Vec<Problem>,
    /// Dangerous but allowed, such as a development setting in production.
    pub warnings: Vec<Problem>,
    /// Worth knowing: overridden, ignored and not yet effective variables, development defaults.
    pub notices: Vec<String>,
}

impl Report {
    pub fn problem(&mut self, place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::new(place, what, remedy));
    }

    pub fn warning(&mut self, place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) {
        self.warnings.push(Problem::new(place, what, remedy));
    }

    pub fn notice(&mut self, text: impl Into<String>) {
        self.notices.push(text.into());
    }
}
