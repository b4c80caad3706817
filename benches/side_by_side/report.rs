//! The result: one markdown table for people, one JSON file for machines (`benches/README.md` has its shape).

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// One contestant in one round.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub cpu_us: f64,
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub answers: u64,
    pub failures: u64,
}

pub struct Report {
    scenarios: Vec<(&'static str, &'static str)>,
    cells: BTreeMap<(&'static str, &'static str), Vec<Cell>>,
    order: Vec<&'static str>,
    notes: Vec<String>,
}

/// Whose figures every other is divided by, within a round.
const BASES: [&str; 4] = ["haproxy", "nginx", "forwarder", "before"];

/// Whose figures are compared by their difference, within a round: the first's, less the second's.
const COMPARISONS: [(&str, &str); 8] = [
    ("floodgate", "before"),
    ("floodgate-checked", "before-checked"),
    ("floodgate-checked", "floodgate"),
    ("new-key", "known-key"),
    ("tls", "plain"),
    ("tls-resumed", "plain-connect"),
    ("tls-full", "plain-connect"),
    ("tls-full", "tls-resumed"),
];

/// What one contestant takes more than another: quartiles over rounds.
struct Difference {
    scenario: &'static str,
    contestant: &'static str,
    than: &'static str,
    rounds: usize,
    cpu_us: [f64; 3],
    p50_us: [f64; 3],
    p99_us: [f64; 3],
    ratio: [f64; 3],
    rate: [f64; 3],
}

impl Report {
    pub fn new() -> Self {
        Report { scenarios: Vec::new(), cells: BTreeMap::new(), order: Vec::new(), notes: Vec::new() }
    }

    pub fn scenario(&mut self, name: &'static str, says: &'static str) {
        eprintln!("{name}: {says}");
        self.scenarios.push((name, says));
    }

    pub fn add(&mut self, scenario: &'static str, contestant: &'static str, cell: Cell) {
        if !self.order.contains(&contestant) {
            self.order.push(contestant);
        }
        self.cells.entry((scenario, contestant)).or_default().push(cell);
    }

    pub fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| scenario | contestant | CPU us/request (quartiles) | of haproxy | of nginx | of forwarder \
             | of before | requests/s | p50 us | p99 us | failed |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for (scenario, _) in &self.scenarios {
            for contestant in &self.order {
                let Some(cells) = self.cells.get(&(*scenario, *contestant)) else { continue };
                let cpu = quartiles(cells.iter().map(|cell| cell.cpu_us));
                let middle = |of: fn(&Cell) -> f64| quartiles(cells.iter().map(of))[1];
                let failures: u64 = cells.iter().map(|cell| cell.failures).sum();
                let _ = write!(
                    text,
                    "| {scenario} | {contestant} | {:.1} ({:.1}-{:.1}) |",
                    cpu[1], cpu[0], cpu[2]
                );
                for base in BASES {
                    match self.ratio(scenario, contestant, base) {
                        Some(ratio) => {
                            _ = write!(text, " {:.2} ({:.2}-{:.2}) |", ratio[1], ratio[0], ratio[2])
                        }
                        None => text.push_str(" - |"),
                    }
                }
                let (rate, p50, p99) =
                    (middle(|cell| cell.rate), middle(|cell| cell.p50_us), middle(|cell| cell.p99_us));
                let _ = writeln!(text, " {rate:.0} | {p50:.0} | {p99:.0} | {failures} |");
            }
        }
        self.write_differences(&mut text);
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }

    fn write_differences(&self, text: &mut String) {
        let differences = self.differences();
        if differences.is_empty() {
            return;
        }
        text.push_str(
            "\n| scenario | contestant | more than | CPU us/request (quartiles) | CPU ratio | p50 us | p99 us \
             | requests/s | rounds |\n|---|---|---|---|---|---|---|---|---|\n",
        );
        for difference in differences {
            let Difference { scenario, contestant, than, rounds, cpu_us, p50_us, p99_us, ratio, rate } =
                difference;
            let _ = writeln!(
                text,
                "| {scenario} | {contestant} | {than} | {} | {} | {} | {} | {} | {rounds} |",
                spread(cpu_us, 2),
                spread(ratio, 3),
                spread(p50_us, 0),
                spread(p99_us, 0),
                spread(rate, 0),
            );
        }
    }

    fn differences(&self) -> Vec<Difference> {
        let pairs = self.scenarios.iter().flat_map(|(scenario, _)| COMPARISONS.map(|pair| (*scenario, pair)));
        pairs
            .filter_map(|(scenario, (contestant, than))| self.difference(scenario, contestant, than))
            .collect()
    }

    fn difference(
        &self,
        scenario: &'static str,
        contestant: &'static str,
        than: &'static str,
    ) -> Option<Difference> {
        let (own, other) = (self.cells.get(&(scenario, contestant))?, self.cells.get(&(scenario, than))?);
        let more =
            |of: fn(&Cell) -> f64| quartiles(own.iter().zip(other).map(|(own, other)| of(own) - of(other)));
        Some(Difference {
            scenario,
            contestant,
            than,
            rounds: own.len().min(other.len()),
            cpu_us: more(|cell| cell.cpu_us),
            p50_us: more(|cell| cell.p50_us),
            p99_us: more(|cell| cell.p99_us),
            ratio: self.ratio(scenario, contestant, than)?,
            rate: more(|cell| cell.rate),
        })
    }

    /// Quartiles of the ratio of CPU times, round by round.
    fn ratio(
        &self,
        scenario: &'static str,
        contestant: &'static str,
        base: &'static str,
    ) -> Option<[f64; 3]> {
        let (own, other) = (self.cells.get(&(scenario, contestant))?, self.cells.get(&(scenario, base))?);
        Some(quartiles(own.iter().zip(other).map(|(own, other)| own.cpu_us / other.cpu_us)))
    }

    /// The document of `benches/README.md`.
    pub fn write_json(&self, path: &Path) {
        let text = serde_json::to_string_pretty(&self.document()).expect("the report has string keys");
        match std::fs::write(path, text) {
            Ok(()) => eprintln!("written: {}", path.display()),
            Err(error) => eprintln!("{}: {error}", path.display()),
        }
    }

    fn document(&self) -> Value {
        let mut rows = Vec::new();
        for ((scenario, contestant), cells) in &self.cells {
            let ratios: BTreeMap<_, _> = BASES
                .iter()
                .filter_map(|base| Some((*base, self.ratio(scenario, contestant, base)?)))
                .collect();
            rows.push(json!({
                "scenario": scenario,
                "contestant": contestant,
                "rounds": cells.len(),
                "cpu_us_quartiles": quartiles(cells.iter().map(|cell| cell.cpu_us)),
                "ratio_quartiles": ratios,
                "requests_per_second_quartiles": quartiles(cells.iter().map(|cell| cell.rate)),
                "p50_us_quartiles": quartiles(cells.iter().map(|cell| cell.p50_us)),
                "p99_us_quartiles": quartiles(cells.iter().map(|cell| cell.p99_us)),
                "answers": cells.iter().map(|cell| cell.answers).sum::<u64>(),
                "failures": cells.iter().map(|cell| cell.failures).sum::<u64>(),
            }));
        }
        let differences: Vec<_> = self.differences().iter().map(Difference::document).collect();
        json!({ "version": 1, "rows": rows, "differences": differences, "notes": self.notes })
    }
}

impl Difference {
    fn document(&self) -> Value {
        json!({
            "scenario": self.scenario,
            "contestant": self.contestant,
            "than": self.than,
            "rounds": self.rounds,
            "cpu_us_quartiles": self.cpu_us,
            "cpu_ratio_quartiles": self.ratio,
            "p50_us_quartiles": self.p50_us,
            "p99_us_quartiles": self.p99_us,
            "requests_per_second_quartiles": self.rate,
        })
    }
}

/// A median with its quartiles, to so many decimals.
fn spread([lower, median, upper]: [f64; 3], decimals: usize) -> String {
    format!("{median:.decimals$} ({lower:.decimals$} to {upper:.decimals$})")
}

/// Lower quartile, median, upper quartile; between two values where the rank is.
fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|part| {
        let rank = (values.len().max(1) - 1) as f64 * part;
        let at = |rank: f64| values.get(rank as usize).copied().unwrap_or(f64::NAN);
        let (below, above) = (at(rank.floor()), at(rank.ceil()));
        below + (above - below) * rank.fract()
    })
}
