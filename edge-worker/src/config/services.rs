//! The nineteen services: defaults as one table, and a service as configured.

use super::bulkheads::{self, Bulkhead};
use super::headers::Scheme;
use super::host::{BaseUrl, entries};
use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;
use super::{Environment, limits};
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Index into `WorkerSettings::services`; the order is that of the table and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceId(pub u8);

impl ServiceId {
    /// The service with this name of the table, such as `minting`.
    #[must_use]
    pub fn find(name: &str) -> Option<ServiceId> {
        SERVICES.iter().zip(0..).find(|(service, _)| service.name == name).map(|(_, index)| ServiceId(index))
    }

    /// Its row of the table.
    #[must_use]
    pub fn defaults(self) -> Option<&'static ServiceDefaults> {
        SERVICES.get(usize::from(self.0))
    }
}

/// One service as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    pub instances: Vec<Instance>,
    pub criticality: Criticality,
    pub read_timeout_ms: u64,
    pub write_timeout_ms: u64,
    pub body_bytes_max: u64,
    /// Idle upstream connections are closed after this, below the service's own keep-alive time.
    pub pool_idle_ms: u64,
    pub health_path: String,
    /// When its circuit opens.
    pub breaker: Breaker,
    pub bulkhead: Bulkhead,
}

/// One base URL of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// `Https` is TLS with the host's name in the certificate.
    pub scheme: Scheme,
    pub host: String,
    pub port: u16,
    /// `host[:port]` as it is sent in `Host`.
    pub authority: String,
    /// What the supervisor resolved the host to; empty means unresolvable.
    pub addresses: Vec<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// Gates readiness.
    Ready,
    /// Pages on-call, shed last.
    Business,
    Normal,
}

/// One row of the platform's table of services.
#[derive(Clone, Copy, Debug)]
pub struct ServiceDefaults {
    /// Lower case; in capitals it is the `<NAME>` of variables.
    pub name: &'static str,
    /// The service listens here on a developer's machine.
    pub development_port: u16,
    pub criticality: Criticality,
    pub read_timeout_s: u64,
    pub write_timeout_s: u64,
    pub body_mib: u64,
    pub breaker: Breaker,
    pub health_path: &'static str,
    /// Requests of the node at it at a time.
    pub in_flight_max: u64,
}

/// When a service's circuit opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    pub error_percent: u8,
    /// Until an open circuit tries one call.
    pub reset_ms: u64,
    /// Calls in the window below which it stays closed.
    pub volume: u16,
}

impl ServiceDefaults {
    const fn new(name: &'static str, development_port: u16, criticality: Criticality) -> ServiceDefaults {
        ServiceDefaults {
            name,
            development_port,
            criticality,
            read_timeout_s: 5,
            write_timeout_s: 10,
            body_mib: 1,
            breaker: Breaker { error_percent: 50, reset_ms: 60_000, volume: 20 },
            health_path: "/health/live",
            in_flight_max: match criticality {
                Criticality::Ready | Criticality::Business => 4_096,
                Criticality::Normal => 1_024,
            },
        }
    }

    const fn timeouts(self, read_timeout_s: u64, write_timeout_s: u64) -> ServiceDefaults {
        ServiceDefaults { read_timeout_s, write_timeout_s, ..self }
    }

    const fn body(self, body_mib: u64) -> ServiceDefaults {
        ServiceDefaults { body_mib, ..self }
    }

    const fn breaker(self, error_percent: u8, reset_s: u16, volume: u16) -> ServiceDefaults {
        let breaker = Breaker { error_percent, reset_ms: reset_s as u64 * 1_000, volume };
        ServiceDefaults { breaker, ..self }
    }

    const fn health(self, health_path: &'static str) -> ServiceDefaults {
        ServiceDefaults { health_path, ..self }
    }

    const fn places(self, in_flight_max: u64) -> ServiceDefaults {
        ServiceDefaults { in_flight_max, ..self }
    }

    /// The variable that holds its URLs.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}_SERVICE_URL", self.name.to_ascii_uppercase())
    }
}

/// The platform's services, `platform.md` section 1. [`ServiceId`] counts in this order.
pub const SERVICES: [ServiceDefaults; 19] = {
    use Criticality::{Business, Normal, Ready};
    [
        ServiceDefaults::new("auth", 3001, Ready).timeouts(5, 5),
        ServiceDefaults::new("venue", 3002, Ready).body(10),
        ServiceDefaults::new("event", 3003, Business).health("/health"),
        ServiceDefaults::new("ticket", 3004, Business).body(10),
        ServiceDefaults::new("payment", 3006, Business).timeouts(5, 30).body(10).breaker(50, 60, 15),
        ServiceDefaults::new("marketplace", 3016, Normal).timeouts(5, 15).health("/health"),
        ServiceDefaults::new("analytics", 3010, Normal)
            .timeouts(10, 10)
            .body(10)
            .breaker(60, 60, 10)
            .health("/health"),
        ServiceDefaults::new("notification", 3007, Normal).timeouts(5, 5),
        ServiceDefaults::new("integration", 3015, Normal)
            .timeouts(15, 15)
            .body(10)
            .breaker(50, 60, 15)
            .health("/health"),
        ServiceDefaults::new("compliance", 3014, Normal).timeouts(10, 10).body(10).breaker(40, 60, 10),
        ServiceDefaults::new("queue", 3008, Normal).timeouts(5, 5).health("/health"),
        ServiceDefaults::new("search", 3020, Normal).body(10).breaker(60, 60, 15).health("/health"),
        ServiceDefaults::new("file", 3013, Normal)
            .timeouts(30, 30)
            .body(100)
            .breaker(50, 60, 10)
            .health("/health"),
        ServiceDefaults::new("monitoring", 3017, Normal).timeouts(5, 5).breaker(70, 60, 10).health("/health"),
        ServiceDefaults::new("blockchain", 3011, Normal).timeouts(30, 60).breaker(50, 120, 10).places(256),
        ServiceDefaults::new("order", 3005, Business).body(10),
        ServiceDefaults::new("scanning", 3009, Business).timeouts(5, 5).health("/health"),
        ServiceDefaults::new("minting", 3018, Normal).timeouts(10, 90).breaker(50, 120, 10).places(256),
        ServiceDefaults::new("transfer", 3019, Normal).timeouts(5, 30).breaker(50, 60, 15),
    ]
};

/// The one service whose rows `MAX_REQUEST_SIZE` does not bound.
pub const FILE_SERVICE: &str = "file";

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "<NAME>_SERVICE_URL",
        "services.<name>.urls",
        Rule::Instances,
        "Base URLs of the service's instances",
    )
    .preset_rule("`http://127.0.0.1:<port>` in development, see the table of services")
    .required("all but development"),
    Setting::new(
        "FLOODGATE_READ_TIMEOUT_MS_<NAME>",
        "services.<name>.read_timeout_ms",
        Rule::Number(1, TIMEOUT_MS_MAX),
        "Deadline for the answer's head to GET and HEAD",
    )
    .preset_rule("see the table of services"),
    Setting::new(
        "FLOODGATE_WRITE_TIMEOUT_MS_<NAME>",
        "services.<name>.write_timeout_ms",
        Rule::Number(1, TIMEOUT_MS_MAX),
        "Deadline for the answer's head to other methods; wins over TIMEOUT_DEFAULT and its like",
    )
    .preset_rule("see the table of services"),
    Setting::new(
        "FLOODGATE_BODY_BYTES_MAX_<NAME>",
        "services.<name>.body_bytes_max",
        Rule::Bytes(0, limits::BODY_BYTES_CEILING),
        "Largest request body, where a row says nothing else",
    )
    .preset_rule("see the table of services"),
    Setting::new(
        "HEALTH_PATH_<NAME>",
        "services.<name>.health_path",
        Rule::Template(&[]),
        "Path of the service's health probe",
    )
    .preset_rule("see the table of services"),
    Setting::new(
        "UPSTREAM_TOKEN_MODE_<NAME>",
        "services.<name>.token_mode",
        Rule::Word(&["passthrough", "exchange"]),
        "Which token the service receives; exchange is not built yet and refused",
    )
    .preset("passthrough"),
    Setting::new(
        "UPSTREAM_TOKEN_SECRET_<NAME>",
        "services.<name>.token_secret",
        Rule::Secret(32),
        "Signs exchanged tokens",
    )
    .secret()
    .later("token exchange"),
    Setting::new(
        "CIRCUIT_BREAKER_ERROR_THRESHOLD_<NAME>",
        "services.<name>.breaker_error_percent",
        Rule::Number(1, 100),
        "CIRCUIT_BREAKER_ERROR_THRESHOLD for one service",
    ),
    Setting::new(
        "CIRCUIT_BREAKER_RESET_TIMEOUT_<NAME>",
        "services.<name>.breaker_reset_ms",
        Rule::Number(1, BREAKER_RESET_MS_MAX),
        "CIRCUIT_BREAKER_RESET_TIMEOUT for one service",
    ),
    Setting::new(
        "CIRCUIT_BREAKER_VOLUME_THRESHOLD_<NAME>",
        "services.<name>.breaker_volume",
        Rule::Number(1, 65_535),
        "CIRCUIT_BREAKER_VOLUME_THRESHOLD for one service",
    ),
    Setting::new(
        "TIMEOUT_DEFAULT",
        "upstream.timeout_default_ms",
        Rule::Number(1, TIMEOUT_MS_MAX),
        "Milliseconds; replaces every write deadline of 10 s",
    ),
    Setting::new(
        "TIMEOUT_PAYMENT",
        "upstream.timeout_payment_ms",
        Rule::Number(1, TIMEOUT_MS_MAX),
        "Milliseconds; replaces the write deadline of payment",
    ),
    Setting::new(
        "TIMEOUT_NFT_MINTING",
        "upstream.timeout_nft_minting_ms",
        Rule::Number(1, TIMEOUT_MS_MAX),
        "Milliseconds; replaces the write deadline of minting",
    ),
    Setting::new(
        "UPSTREAM_TLS_REQUIRED",
        "upstream.tls_required",
        Rule::Flag,
        "true refuses http to services in production",
    )
    .preset("false"),
    Setting::new(
        "UPSTREAM_CA_FILE",
        "upstream.ca_file",
        Rule::Path,
        "Certificate authorities in PEM that vouch for services and JWKS_URI, beside the system's",
    ),
    Setting::new(
        "CIRCUIT_BREAKER_ERROR_THRESHOLD",
        "upstream.breaker_error_percent",
        Rule::Number(1, 100),
        "Percentage of failed calls that opens a circuit",
    )
    .preset_rule("see the table of services"),
    Setting::new(
        "CIRCUIT_BREAKER_RESET_TIMEOUT",
        "upstream.breaker_reset_ms",
        Rule::Number(1, BREAKER_RESET_MS_MAX),
        "Milliseconds until an open circuit tries one call",
    )
    .preset_rule("see the table of services"),
    Setting::new(
        "CIRCUIT_BREAKER_VOLUME_THRESHOLD",
        "upstream.breaker_volume",
        Rule::Number(1, 65_535),
        "Calls in 10 s below which a circuit stays closed",
    )
    .preset_rule("see the table of services"),
];

/// All nineteen, in the order of the table.
pub(super) fn read(lookup: &mut Lookup, environment: Environment) -> Vec<Service> {
    let request_bytes_max = lookup.bytes("MAX_REQUEST_SIZE");
    SERVICES.iter().map(|defaults| service(lookup, environment, defaults, request_bytes_max)).collect()
}

fn service(
    lookup: &mut Lookup,
    environment: Environment,
    defaults: &ServiceDefaults,
    request_bytes_max: u64,
) -> Service {
    let capitals = defaults.name.to_ascii_uppercase();
    let number = |lookup: &mut Lookup, prefix: &str, preset: u64| {
        let variable = format!("{prefix}_{capitals}");
        lookup.preset(&variable, &preset.to_string());
        lookup.number(&variable)
    };
    let read_timeout_ms = number(lookup, "FLOODGATE_READ_TIMEOUT_MS", defaults.read_timeout_s * 1_000);
    let write_preset = write_timeout_ms(lookup, defaults);
    let write_timeout_ms = number(lookup, "FLOODGATE_WRITE_TIMEOUT_MS", write_preset);
    let cap = format!("FLOODGATE_BODY_BYTES_MAX_{capitals}");
    lookup.preset(&cap, &(defaults.body_mib * 1024 * 1024).to_string());
    let body_bytes_max = clamp_body(defaults.name, lookup.bytes(&cap), request_bytes_max);
    if lookup.is_set(&cap) && body_bytes_max < lookup.bytes(&cap) {
        lookup.warning(&cap, "is above MAX_REQUEST_SIZE, which bounds it", "raise MAX_REQUEST_SIZE, too");
    }
    let health = format!("HEALTH_PATH_{capitals}");
    lookup.preset(&health, defaults.health_path);
    let mode = format!("UPSTREAM_TOKEN_MODE_{capitals}");
    if lookup.text(&mode) == Some("exchange") {
        lookup.problem(&mode, "token exchange is not built yet", "remove it; tokens are passed through");
    }
    Service {
        name: defaults.name.to_owned(),
        instances: instances(lookup, environment, defaults),
        criticality: defaults.criticality,
        read_timeout_ms,
        write_timeout_ms,
        body_bytes_max,
        pool_idle_ms: if defaults.name == "scanning" { 4_000 } else { 60_000 },
        health_path: lookup.text(&health).unwrap_or(defaults.health_path).to_owned(),
        breaker: breaker(lookup, defaults),
        bulkhead: bulkheads::read(lookup, defaults),
    }
}

/// The table's, unless the variable for all services or for this one says otherwise.
fn breaker(lookup: &mut Lookup, defaults: &ServiceDefaults) -> Breaker {
    let number = |lookup: &mut Lookup, prefix: &str| {
        let own = format!("{prefix}_{}", defaults.name.to_ascii_uppercase());
        lookup.number_if_set(&own).or_else(|| lookup.number_if_set(prefix))
    };
    let Breaker { error_percent, reset_ms, volume } = defaults.breaker;
    let percent =
        number(lookup, "CIRCUIT_BREAKER_ERROR_THRESHOLD").and_then(|number| u8::try_from(number).ok());
    let calls =
        number(lookup, "CIRCUIT_BREAKER_VOLUME_THRESHOLD").and_then(|number| u16::try_from(number).ok());
    Breaker {
        error_percent: percent.unwrap_or(error_percent),
        reset_ms: number(lookup, "CIRCUIT_BREAKER_RESET_TIMEOUT").unwrap_or(reset_ms),
        volume: calls.unwrap_or(volume),
    }
}

/// Longest time that a circuit stays open, 50 minutes: below what the region takes for a mistake, with room for clocks
/// that are read a moment apart.
pub const BREAKER_RESET_MS_MAX: u64 = 3_000_000;
const _: () = assert!(BREAKER_RESET_MS_MAX < shm::breakers::WAIT_MS_MAX);

/// `MAX_REQUEST_SIZE` bounds every body cap but those of the file service.
#[must_use]
pub fn clamp_body(service: &str, body_bytes_max: u64, request_bytes_max: u64) -> u64 {
    if service == FILE_SERVICE { body_bytes_max } else { body_bytes_max.min(request_bytes_max) }
}

fn write_timeout_ms(lookup: &Lookup, defaults: &ServiceDefaults) -> u64 {
    let variable = match (defaults.name, defaults.write_timeout_s) {
        ("payment", _) => "TIMEOUT_PAYMENT",
        ("minting", _) => "TIMEOUT_NFT_MINTING",
        (_, 10) => "TIMEOUT_DEFAULT",
        _ => return defaults.write_timeout_s * 1_000,
    };
    lookup.number_if_set(variable).unwrap_or(defaults.write_timeout_s * 1_000)
}

fn instances(lookup: &mut Lookup, environment: Environment, defaults: &ServiceDefaults) -> Vec<Instance> {
    let variable = defaults.variable();
    if environment == Environment::Development {
        lookup.preset(&variable, &format!("http://127.0.0.1:{}", defaults.development_port));
    }
    lookup.require(&variable, "only development has a default", "set the base URL of the service");
    let urls = lookup.text(&variable).unwrap_or_default();
    let all: Vec<Instance> =
        entries(urls).filter_map(|entry| BaseUrl::parse(entry).ok()).map(instance).collect();
    for (instance, number) in all.iter().zip(1..) {
        check_security(lookup, environment, &variable, (instance, number));
    }
    let repeats =
        all.iter().enumerate().any(|(index, one)| all.iter().skip(index + 1).any(|other| other == one));
    if repeats {
        lookup.problem(&variable, "lists one instance twice", "remove the repetition");
    }
    all
}

/// Over TLS where it has to be, and with a host that a certificate can name.
fn check_security(
    lookup: &mut Lookup,
    environment: Environment,
    variable: &str,
    (instance, number): (&Instance, usize),
) {
    if instance.scheme == Scheme::Https {
        if ServerName::try_from(instance.host.as_str()).is_err() {
            let what = format!("URL {number} has a host that no certificate can name");
            lookup.problem(variable, what, "use a DNS name or an address");
        }
    } else if lookup.flag("UPSTREAM_TLS_REQUIRED") && environment.is_production() {
        let what = format!("URL {number} is http while UPSTREAM_TLS_REQUIRED is true");
        lookup.problem(
            variable,
            what,
            "write https, or set UPSTREAM_TLS_REQUIRED to false on a private network",
        );
    }
}

fn instance(url: BaseUrl) -> Instance {
    let addresses = url.address().map(|address| SocketAddr::new(address, url.port)).into_iter().collect();
    Instance { scheme: url.scheme, authority: url.authority(), addresses, port: url.port, host: url.host }
}

const TIMEOUT_MS_MAX: u64 = 600_000;

#[cfg(test)]
mod tests;
