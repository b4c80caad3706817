//! The result: one markdown table for people, one JSON file for machines (`benches/README.md` has its shape).

use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One contestant in one round.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub cpu_us: f64,
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
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
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
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

    pub fn write_json(&self) {
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
                "failures": cells.iter().map(|cell| cell.failures).sum::<u64>(),
            }));
        }
        let document = json!({ "version": 1, "rows": rows, "notes": self.notes });
        let directory = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let path = std::path::Path::new(&directory).join("side_by_side.json");
        let text = serde_json::to_string_pretty(&document).expect("the report has string keys");
        match std::fs::write(&path, text) {
            Ok(()) => eprintln!("written: {}", path.display()),
            Err(error) => eprintln!("{}: {error}", path.display()),
        }
    }
}

/// Lower quartile, median, upper quartile.
fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values.get(((values.len().max(1) - 1) as f64 * part).round() as usize).copied();
    [at(0.25), at(0.5), at(0.75)].map(|value| value.unwrap_or(f64::NAN))
}
