//! `/metrics`: a snapshot of the region through the table of metrics, in text exposition format 0.0.4.

use super::process::{Usage, memory_limit_bytes, usage};
use super::snapshot::{Distribution, Series, Snapshot, owned};
use super::spool::Spool;
use crate::endpoints::Seen;
use edge_worker::clock;
use edge_worker::http::header_rules::StrippedHeader;
use edge_worker::pipeline::shedding;
use edge_worker::telemetry::labels::{
    CircuitPosition, DRIVERS, Downstream, REVOCATION_TABLES, Reason, method_word,
};
use edge_worker::telemetry::metrics::{Definition, Kind, Metric, TABLE, Unit, Values};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};
use shm::endpoints::Health;
use shm::names::{NameId, Names};
use shm::readiness::{Check, State};
use shm::workers::{Phase, WorkerBlock};
use shm::{Authority, Shared};
use std::collections::BTreeMap;

/// `Content-Type` of what [`Scrape::render`] writes.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What the supervisor knows and the region does not.
#[derive(Clone, Debug)]
pub struct Facts {
    pub version: String,
    /// Commit of the build, `unknown` without one.
    pub revision: String,
    /// Changes with the configuration; says nothing of its values.
    pub config_hash: String,
    /// Unix milliseconds at which the configuration took effect.
    pub config_applied_ms: u64,
    /// Worker slots of the running generation, so that one without a worker shows as down.
    pub workers: usize,
    /// Names of the configured services, in their order.
    pub services: Vec<String>,
    /// Whether the node follows the revocations of others; without Redis it runs alone.
    pub follows_redis: bool,
}

/// Everything one scrape shows, read in one go; turned into text wherever there is time for it.
pub struct Scrape {
    names: &'static Names,
    snapshot: Snapshot,
    workers: Vec<u32>,
    /// Series that are computed at a scrape.
    derived: Vec<(Metric, Vec<String>, f64)>,
}

impl Scrape {
    /// Reads the region. On the supervisor's own thread; see `snapshot`.
    #[must_use]
    pub fn take(
        authority: &'static Authority,
        shared: &'static Shared,
        facts: &Facts,
        spool: &Spool,
        instances: &[Seen],
    ) -> Self {
        let snapshot = Snapshot::take(shared);
        let mut scrape = Scrape {
            names: &authority.names,
            workers: shared
                .workers
                .iter()
                .map(shm::workers::WorkerBlock::pid)
                .filter(|pid| *pid != 0)
                .collect(),
            derived: Vec::new(),
            snapshot,
        };
        scrape.derive_workers(shared, facts);
        scrape.derive_checks(authority, facts);
        scrape.derive_revocations(authority, facts);
        scrape.derive_circuits(authority, shared);
        scrape.derive_instances(instances);
        scrape.derive(Metric::BuildInfo, &[&facts.version, &facts.revision], 1.0);
        scrape.derive(Metric::ConfigInfo, &[&facts.config_hash], 1.0);
        scrape.derive(Metric::ConfigLastReload, &[], facts.config_applied_ms as f64 / 1000.0);
        scrape.derive(Metric::ProcessStartTime, &[], authority.readiness.started_at_ms() as f64 / 1000.0);
        scrape.derive(Metric::PublicKeys, &[], authority.readiness.public_keys() as f64);
        scrape.derive(Metric::JournalDropped, &[], scrape.snapshot.journal_dropped as f64);
        scrape.derive(Metric::SeriesDropped, &[], scrape.snapshot.unmeasured as f64);
        scrape.derive(Metric::LogLinesDropped, &[], spool.lines_dropped() as f64);
        scrape
    }

    fn derive(&mut self, metric: Metric, labels: &[&str], value: f64) {
        self.derived.push((metric, labels.iter().map(|text| (*text).to_owned()).collect(), value));
    }

    fn derive_workers(&mut self, shared: &Shared, facts: &Facts) {
        let mut connections = 0;
        let mut in_flight = 0;
        let mut drivers = [0_u32; DRIVERS.len()];
        for (slot, worker) in shared.workers.iter().enumerate() {
            if slot >= facts.workers && !owned(worker) {
                continue;
            }
            let up = matches!(worker.phase(), Phase::Serving | Phase::Draining);
            self.derive(Metric::WorkerUp, &[&slot.to_string()], f64::from(u8::from(up)));
            let level = worker.pressure() as f64 / shedding::CLASS as f64;
            self.derive(Metric::SheddingLevel, &[&slot.to_string()], level);
            connections += worker.connections();
            in_flight += worker.requests_in_flight();
            if owned(worker) {
                drivers[worker.driver() as usize] += 1;
            }
        }
        for (index, service) in facts.services.iter().enumerate() {
            let sum = |of: fn(&WorkerBlock, usize) -> u64| {
                shared.workers.iter().map(|block| of(block, index)).sum()
            };
            let (calls, waits): (u64, u64) = (sum(WorkerBlock::in_flight), sum(WorkerBlock::waiting));
            self.derive(Metric::BulkheadInFlight, &[service], calls as f64);
            self.derive(Metric::BulkheadWaiting, &[service], waits as f64);
        }
        self.derive(Metric::ActiveConnections, &[], connections as f64);
        self.derive(Metric::HttpRequestsInFlight, &[], in_flight as f64);
        for (driver, workers) in DRIVERS.iter().zip(drivers).filter(|(_, workers)| *workers > 0) {
            self.derive(Metric::IoDriverInfo, &[driver], f64::from(workers));
        }
    }

    fn derive_checks(&mut self, authority: &Authority, facts: &Facts) {
        let services =
            (0..=u8::MAX).zip(&facts.services).map(|(index, name)| (Check::Service(index), name.as_str()));
        for (check, name) in std::iter::once((Check::Redis, "redis")).chain(services) {
            let reachable = match authority.readiness.state(check).state {
                State::Unknown => continue,
                State::Ok | State::Slow => 1.0,
                State::Error => 0.0,
            };
            self.derive(Metric::HealthCheckStatus, &[name], reachable);
        }
    }

    fn derive_circuits(&mut self, authority: &'static Authority, shared: &Shared) {
        let now_ms = clock::now().millis().0;
        shared.breakers.each(|service, breaker| {
            if let Some(name) = authority.names.text(service) {
                let position = CircuitPosition::of(breaker.view(now_ms).position);
                self.derive(Metric::CircuitBreakerState, &[&name], f64::from(position as u8));
            }
        });
    }

    fn derive_instances(&mut self, instances: &[Seen]) {
        for Seen { service, address, view } in instances {
            let (Some(view), address) = (view, address.to_string()) else { continue };
            let labels = [service.as_str(), &address];
            let up = match view.health {
                Health::Unknown => None,
                Health::Up => Some(1.0),
                Health::Down => Some(0.0),
            };
            if let Some(up) = up {
                self.derive(Metric::InstanceUp, &labels, up);
            }
            self.derive(Metric::InstanceEjected, &labels, f64::from(u8::from(view.ejected_ms > 0)));
            self.derive(Metric::InstanceInFlight, &labels, view.in_flight as f64);
            if view.latency_us > 0 {
                self.derive(Metric::InstanceLatency, &labels, view.latency_us as f64 / 1e6);
            }
        }
    }

    fn derive_revocations(&mut self, authority: &Authority, facts: &Facts) {
        let taken = authority.revocations.taken();
        for (table, entries) in REVOCATION_TABLES.iter().zip([taken.tokens, taken.cutoffs]) {
            self.derive(Metric::RevocationEntries, &[table], entries as f64);
        }
        if !facts.follows_redis {
            return;
        }
        match authority.readiness.state(Check::Redis).state {
            State::Unknown => {}
            State::Ok | State::Slow => self.derive(Metric::RedisUp, &[], 1.0),
            State::Error => self.derive(Metric::RedisUp, &[], 0.0),
        }
        let since = authority.revocations.synced_at_ms().unwrap_or(authority.readiness.started_at_ms());
        let stale_ms = clock::wall_millis().saturating_sub(since);
        self.derive(Metric::RevocationStaleness, &[], stale_ms as f64 / 1000.0);
    }

    /// The text. Reads /proc, so not on a thread that others wait for.
    #[must_use]
    pub fn render(mut self) -> Vec<u8> {
        self.derive_processes();
        let mut families: BTreeMap<Metric, Vec<prometheus::proto::Metric>> = BTreeMap::new();
        for (series, value) in self.snapshot.counters.iter().chain(&self.snapshot.gauges) {
            if let Some((definition, labels)) = self.labels(*series) {
                families.entry(definition.metric).or_default().push(single(
                    definition,
                    labels,
                    *value as f64,
                ));
            }
        }
        for (series, distribution) in &self.snapshot.histograms {
            if let Some((definition, labels)) = self.labels(*series) {
                families.entry(definition.metric).or_default().push(histogram(
                    definition,
                    labels,
                    distribution,
                ));
            }
        }
        for (metric, texts, value) in &self.derived {
            let definition = metric.definition();
            let labels =
                definition.labels.iter().zip(texts).map(|(label, text)| pair(label.name, text.clone()));
            families.entry(*metric).or_default().push(single(definition, labels.collect(), *value));
        }
        // A counter that never counted is 0, not absent, wherever that can be said: alerts look at increases.
        for definition in TABLE.iter().filter(|row| row.kind == Kind::Counter && row.labels.is_empty()) {
            families.entry(definition.metric).or_insert_with(|| vec![single(definition, Vec::new(), 0.0)]);
        }
        let families: Vec<_> =
            families.into_iter().map(|(metric, rows)| family(metric.definition(), rows)).collect();
        let mut text = Vec::with_capacity(64 << 10);
        TextEncoder::new()
            .encode(&families, &mut text)
            .expect("each family has a name and a series, and a Vec takes all");
        text
    }

    fn derive_processes(&mut self) {
        let Usage { cpu_ns, resident_bytes, virtual_bytes, open_fds, max_fds } = usage(&self.workers);
        self.derive(Metric::ProcessCpu, &[], cpu_ns as f64 / Unit::Nanoseconds.divisor());
        self.derive(Metric::ProcessResidentMemory, &[], resident_bytes as f64);
        self.derive(Metric::ProcessVirtualMemory, &[], virtual_bytes as f64);
        self.derive(Metric::ProcessOpenFds, &[], open_fds as f64);
        self.derive(Metric::ProcessMaxFds, &[], max_fds as f64);
        self.derive(Metric::MemoryLimit, &[], memory_limit_bytes() as f64);
    }

    /// The table's row of a series and its labels; `None` for a metric that this binary does not know.
    fn labels(&self, series: Series) -> Option<(&'static Definition, Vec<LabelPair>)> {
        let [metric, numbers @ ..] = series;
        let definition = Metric::from_number(metric)?.definition();
        let pairs = definition.labels.iter().zip(numbers);
        let labels = pairs.map(|(label, number)| pair(label.name, self.text(label.values, number))).collect();
        Some((definition, labels))
    }

    fn text(&self, values: Values, number: u16) -> String {
        let name = || NameId::new(number).and_then(|id| self.names.text(id));
        match values {
            Values::Name(_) => name().unwrap_or_else(|| "unmatched".to_owned()),
            Values::Check => name().unwrap_or_else(|| "redis".to_owned()),
            Values::Method => method_word(number).to_owned(),
            Values::Downstream => Downstream::word(number).map_or_else(|| number.to_string(), str::to_owned),
            Values::Reason => Reason::from_number(number).word().to_owned(),
            Values::StrippedHeader => StrippedHeader::ALL
                .get(usize::from(number))
                .map_or("other", |header| header.label())
                .to_owned(),
            Values::Words(words) => words.get(usize::from(number)).copied().unwrap_or("other").to_owned(),
            Values::Number | Values::Text => number.to_string(),
        }
    }
}

fn pair(name: &str, value: String) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value);
    pair
}

fn single(definition: &Definition, labels: Vec<LabelPair>, value: f64) -> prometheus::proto::Metric {
    let mut metric = prometheus::proto::Metric::from_label(labels);
    if definition.kind == Kind::Counter {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

fn histogram(
    definition: &Definition,
    labels: Vec<LabelPair>,
    distribution: &Distribution,
) -> prometheus::proto::Metric {
    let divisor = definition.unit.divisor();
    let mut below = 0;
    let buckets = definition.buckets.iter().zip(distribution.buckets).map(|(bound, events)| {
        below += events;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound as f64 / divisor);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    // The count of the buckets, not the cell's: a worker may be between its two additions, and a `+Inf` bucket
    // below another one would be refused.
    histogram.set_sample_count(distribution.buckets.iter().sum());
    histogram.set_sample_sum(distribution.sum as f64 / divisor);
    let mut metric = prometheus::proto::Metric::from_label(labels);
    metric.set_histogram(histogram);
    metric
}

fn family(definition: &Definition, metrics: Vec<prometheus::proto::Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(definition.name.to_owned());
    family.set_help(definition.help.to_owned());
    family.set_field_type(match definition.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(metrics);
    family
}

#[cfg(test)]
mod tests;
