//! The edge's exposition, parsed: text format 0.0.4.

/// All samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
    text: String,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Panics on a line that is not a sample or a comment: a scraper would refuse the whole page.
    pub fn parse(text: &str) -> Metrics {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples =
            lines.map(|line| Sample::parse(line).unwrap_or_else(|| panic!("not a sample: {line}"))).collect();
        Metrics { samples, text: text.to_owned() }
    }

    /// The sum of all samples of this name whose labels include these; 0 if there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).fold(0.0, |sum, sample| sum + sample.value)
    }

    /// The same as a count, since counters of requests are whole.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        format!("{:.0}", self.value(name, labels)).parse().expect("a counter is not negative")
    }

    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// Values of one label over all samples of this name.
    pub fn label_values(&self, name: &str, label: &str) -> Vec<String> {
        let named = self.samples.iter().filter(|sample| sample.name == name);
        let mut values: Vec<String> = named
            .flat_map(|sample| sample.labels.iter())
            .filter(|pair| pair.0 == label)
            .map(|pair| pair.1.clone())
            .collect();
        values.sort();
        values.dedup();
        values
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    fn matching<'all>(
        &'all self,
        name: &'all str,
        labels: &'all [(&str, &str)],
    ) -> impl Iterator<Item = &'all Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |wanted: &(&str, &str)| {
                sample.labels.iter().any(|pair| pair.0 == wanted.0 && pair.1 == wanted.1)
            };
            sample.name == name && labels.iter().all(has)
        })
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Sample> {
        let (series, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let Some((name, labels)) = series.split_once('{') else {
            return Some(Sample { name: series.to_owned(), labels: Vec::new(), value });
        };
        let labels = parse_labels(labels.strip_suffix('}')?)?;
        Some(Sample { name: name.to_owned(), labels, value })
    }
}

/// `a="b",c="d"` with the three escapes of the format.
fn parse_labels(text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (position, '"') => break position,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        let after = after.get(end + 1..)?;
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some(labels)
}
