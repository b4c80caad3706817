//! What nodes tell each other: revocations and what to forget, as fields of a stream entry and as durable keys
//! (`platform.md` section 4). Pure.

use super::record::generation_key;
use edge_worker::clock::UnixSeconds;
use edge_worker::identity::verifier::{TOKEN_ID_BYTES_MAX, is_token_id};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The life of the durable keys of users and tenants; longer than any token lives.
pub const NOT_BEFORE_TTL_S: u64 = 7 * 86_400;
/// The life of a revoked token whose expiry the writer did not state; access tokens live 15 minutes.
pub const EXPIRY_UNKNOWN_S: i64 = 86_400;
/// A token that is said to live longer is taken to be withdrawn for so long, and an operator may not say so: an entry
/// that never expired would take its place in the mirror for ever.
pub const EXPIRY_DAYS_MAX: i64 = 366;
pub const EXPIRY_S_MAX: i64 = EXPIRY_DAYS_MAX * 86_400;
/// Seconds since 1970 until the year 5138; whoever says more means milliseconds.
const SECONDS_MAX: i64 = 100_000_000_000;
/// Of every id; longer ones name nothing on the platform.
pub const ID_BYTES_MAX: usize = TOKEN_ID_BYTES_MAX;

const TOKEN_JTI: &str = "session:blacklist:jti:";
const TOKEN_SHA256: &str = "session:blacklist:sha256:";
const NOT_BEFORE_USER: &str = "session:nbf:user:";
const NOT_BEFORE_TENANT: &str = "session:nbf:tenant:";

/// Something that every node must know. Applying one twice is applying it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The token is revoked; nobody needs to remember it after `exp` and the clock skew.
    Token {
        token: TokenName,
        exp: UnixSeconds,
    },
    /// The user's tokens with `iat` up to `epoch` are revoked, but for the one with the jti `except`.
    User {
        tenant: String,
        sub: String,
        epoch: UnixSeconds,
        except: Option<String>,
    },
    /// All tokens of the tenant with `iat` up to `epoch` are revoked.
    Tenant {
        tenant: String,
        epoch: UnixSeconds,
    },
    /// Decisions about access to the venue made under another generation are void; without one, all are.
    Venue {
        id: String,
        generation: Option<u64>,
    },
    /// The user's cached record is void.
    ForgetUser {
        tenant: String,
        sub: String,
    },
    /// Refused until `exp`.
    Ban {
        whom: Banned,
        exp: UnixSeconds,
    },
    Unban {
        whom: Banned,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenName {
    Jti(String),
    /// The SHA-256 of a whole token that has no jti, 64 lower-case hexadecimal digits.
    Sha256(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Banned {
    /// An IP address as written by its banner.
    Address(String),
    /// A `sub`.
    User(String),
}

/// Why an entry or a durable key means nothing. It is counted and passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("another version")]
    Version,
    #[error("unknown kind")]
    Kind,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not legal")]
    Illegal(&'static str),
    #[error("not a list of fields")]
    Shape,
}

/// What a durable key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durable {
    /// `1`, for so many seconds.
    Token { key: String, ttl_s: u64 },
    /// `value` for [`NOT_BEFORE_TTL_S`], unless a later epoch is there already. `without_except` is for the same
    /// epoch with another exception.
    NotBefore { key: String, epoch: UnixSeconds, value: String, without_except: String },
    /// A count, one higher each time; nothing ever turns it back, so twice is as good as once.
    Generation { key: String },
}

#[derive(Serialize, Deserialize)]
struct NotBefore {
    epoch: UnixSeconds,
    #[serde(default)]
    except: Option<String>,
}

impl Event {
    /// `kind` of the entry and label of `gateway_revocations_total`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Token { token: TokenName::Jti(_), .. } => "jti",
            Self::Token { token: TokenName::Sha256(_), .. } => "sha256",
            Self::User { .. } => "user",
            Self::Tenant { .. } => "tenant",
            Self::Venue { .. } => "venue",
            Self::ForgetUser { .. } => "forget",
            Self::Ban { .. } => "ban",
            Self::Unban { .. } => "unban",
        }
    }

    /// `id` of the entry: whom it is about.
    #[must_use]
    pub fn id(&self) -> Cow<'_, str> {
        match self {
            Self::Token { token: TokenName::Jti(id) | TokenName::Sha256(id), .. }
            | Self::User { sub: id, .. }
            | Self::Tenant { tenant: id, .. }
            | Self::Venue { id, .. }
            | Self::ForgetUser { sub: id, .. } => Cow::Borrowed(id),
            Self::Ban { whom, .. } | Self::Unban { whom } => Cow::Owned(whom.text()),
        }
    }

    /// The fields of its entry, `v`, `src` and `reason` apart. `gen`, and the kinds forget, ban and unban, are
    /// ours; other readers pass over them.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("kind", self.kind().to_owned()), ("id", self.id().into_owned())];
        let mut add = |name, text: &str| fields.push((name, text.to_owned()));
        match self {
            Self::Token { exp, .. } | Self::Ban { exp, .. } => add("exp", &exp.to_string()),
            Self::User { tenant, epoch, except, .. } => {
                add("tenant", tenant);
                add("epoch", &epoch.to_string());
                if let Some(jti) = except {
                    add("except", jti);
                }
            }
            Self::Tenant { tenant, epoch } => {
                add("tenant", tenant);
                add("epoch", &epoch.to_string());
            }
            Self::Venue { generation, .. } => {
                if let Some(generation) = generation {
                    add("gen", &generation.to_string());
                }
            }
            Self::ForgetUser { tenant, .. } => add("tenant", tenant),
            Self::Unban { .. } => {}
        }
        fields
    }

    /// The event of an entry. An `exp` or `epoch` that is missing or in the future never weakens a revocation, and an
    /// `except` that names no token spares none.
    pub fn parse(fields: &[(String, String)], now: UnixSeconds) -> Result<Event, Malformed> {
        let fields = Fields(fields);
        if fields.text("v") != Some("1") {
            return Err(Malformed::Version);
        }
        let exp = || fields.number("exp").map(|exp| expiry(exp, now));
        Ok(match fields.text("kind").ok_or(Malformed::Missing("kind"))? {
            "jti" => Event::Token { token: TokenName::Jti(fields.id("id")?), exp: exp()? },
            "sha256" => Event::Token { token: TokenName::sha256(&fields.id("id")?)?, exp: exp()? },
            "user" => {
                let except = fields.text("except").filter(|text| *text != "null");
                Event::User {
                    tenant: fields.id("tenant")?,
                    sub: fields.id("id")?,
                    epoch: fields.epoch(now)?,
                    except: except.and_then(nameable),
                }
            }
            "tenant" => {
                let tenant = fields.id("id").or_else(|_| fields.id("tenant"))?;
                Event::Tenant { tenant, epoch: fields.epoch(now)? }
            }
            "venue" => {
                let generation = fields.number("gen")?.and_then(|number| u64::try_from(number).ok());
                Event::Venue { id: fields.id("id")?, generation }
            }
            "forget" => Event::ForgetUser { tenant: fields.id("tenant")?, sub: fields.id("id")? },
            "ban" => Event::Ban { whom: Banned::parse(&fields.id("id")?)?, exp: exp()? },
            "unban" => Event::Unban { whom: Banned::parse(&fields.id("id")?)? },
            _ => return Err(Malformed::Kind),
        })
    }

    /// What must outlive the stream; `None` for what may be forgotten. `skew_s` is JWT_CLOCK_SKEW_SECS.
    #[must_use]
    pub fn durable(&self, now: UnixSeconds, skew_s: i64) -> Option<Durable> {
        match self {
            Self::Token { token, exp } => {
                let left = exp.saturating_add(skew_s).saturating_sub(now);
                let ttl_s = u64::try_from(left).ok().filter(|left| *left > 0)?;
                Some(Durable::Token { key: token.key(), ttl_s })
            }
            Self::User { tenant, sub, epoch, except } => {
                let key = format!("{NOT_BEFORE_USER}{tenant}:{sub}");
                Some(not_before(key, *epoch, except.clone()))
            }
            Self::Tenant { tenant, epoch } => {
                let key = format!("{NOT_BEFORE_TENANT}{tenant}");
                let value = format!(r#"{{"epoch":{epoch}}}"#);
                Some(Durable::NotBefore { key, epoch: *epoch, without_except: value.clone(), value })
            }
            // Whoever states the generation has counted it.
            Self::Venue { id, generation: None } => Some(Durable::Generation { key: generation_key(id) }),
            Self::Venue { .. } | Self::ForgetUser { .. } | Self::Ban { .. } | Self::Unban { .. } => None,
        }
    }

    /// Whether it says nothing any more.
    #[must_use]
    pub fn is_over(&self, now: UnixSeconds, skew_s: i64) -> bool {
        match self {
            Self::Token { .. } => self.durable(now, skew_s).is_none(),
            Self::Ban { exp, .. } => *exp <= now,
            _ => false,
        }
    }
}

/// Whether a snapshot has to look at this key; the older keys of raw tokens share the beginning.
#[must_use]
pub fn is_durable(key: &str) -> bool {
    [TOKEN_JTI, TOKEN_SHA256, NOT_BEFORE_USER, NOT_BEFORE_TENANT].iter().any(|prefix| key.starts_with(prefix))
}

/// Every durable key that can speak of a token: its own, its user's and its tenant's.
#[must_use]
pub fn durable_keys(token: &TokenName, tenant: &str, sub: &str) -> [String; 3] {
    [token.key(), format!("{NOT_BEFORE_USER}{tenant}:{sub}"), format!("{NOT_BEFORE_TENANT}{tenant}")]
}

/// The event that a durable key stands for. `left_ms` is what PTTL answers: negative without an end.
pub fn from_durable(key: &str, value: &str, left_ms: i64, now: UnixSeconds) -> Result<Event, Malformed> {
    let left_s = if left_ms < 0 { EXPIRY_UNKNOWN_S } else { left_ms / 1_000 + 1 };
    let exp = now.saturating_add(left_s);
    if let Some(jti) = key.strip_prefix(TOKEN_JTI) {
        return Ok(Event::Token { token: TokenName::Jti(legal("id", jti)?), exp });
    }
    if let Some(digest) = key.strip_prefix(TOKEN_SHA256) {
        return Ok(Event::Token { token: TokenName::sha256(digest)?, exp });
    }
    let parsed: NotBefore = serde_json::from_str(value).map_err(|_| Malformed::Illegal("value"))?;
    let epoch = parsed.epoch.min(now);
    if let Some(tenant) = key.strip_prefix(NOT_BEFORE_TENANT) {
        return Ok(Event::Tenant { tenant: legal("tenant", tenant)?, epoch });
    }
    let names = key.strip_prefix(NOT_BEFORE_USER).ok_or(Malformed::Kind)?;
    // Tenants hold no colon, subjects may.
    let (tenant, sub) = names.split_once(':').ok_or(Malformed::Missing("id"))?;
    let except = parsed.except.as_deref().and_then(nameable);
    Ok(Event::User { tenant: legal("tenant", tenant)?, sub: legal("id", sub)?, epoch, except })
}

fn not_before(key: String, epoch: UnixSeconds, except: Option<String>) -> Durable {
    let text = |except| {
        serde_json::to_string(&NotBefore { epoch, except }).expect("a number and a text are always JSON")
    };
    Durable::NotBefore { key, epoch, value: text(except), without_except: text(None) }
}

impl TokenName {
    /// 64 hexadecimal digits of any case.
    pub fn sha256(digits: &str) -> Result<TokenName, Malformed> {
        let hexadecimal = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = || TokenName::Sha256(digits.to_ascii_lowercase());
        hexadecimal.then(digest).ok_or(Malformed::Illegal("id"))
    }

    /// Whether it names the token with this jti.
    #[must_use]
    pub fn is_jti(&self, jti: &str) -> bool {
        matches!(self, Self::Jti(own) if own == jti)
    }

    fn key(&self) -> String {
        match self {
            Self::Jti(jti) => format!("{TOKEN_JTI}{jti}"),
            Self::Sha256(digest) => format!("{TOKEN_SHA256}{digest}"),
        }
    }
}

impl Banned {
    /// `ip:<address>` or `user:<sub>`, as in the keys `banned:…`.
    pub fn parse(text: &str) -> Result<Banned, Malformed> {
        let (kind, name) = text.split_once(':').ok_or(Malformed::Illegal("id"))?;
        match kind {
            "ip" => Ok(Banned::Address(legal("id", name)?)),
            "user" => Ok(Banned::User(legal("id", name)?)),
            _ => Err(Malformed::Illegal("id")),
        }
    }

    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Address(address) => format!("ip:{address}"),
            Self::User(sub) => format!("user:{sub}"),
        }
    }
}

struct Fields<'entry>(&'entry [(String, String)]);

impl Fields<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str())
    }

    fn id(&self, name: &'static str) -> Result<String, Malformed> {
        legal(name, self.text(name).ok_or(Malformed::Missing(name))?)
    }

    fn number(&self, name: &'static str) -> Result<Option<i64>, Malformed> {
        let given = self.text(name).filter(|text| !text.is_empty());
        given.map(|text| text.parse().map_err(|_| Malformed::Illegal(name))).transpose()
    }

    /// One that lies in the future, in milliseconds perhaps, means everything up to now.
    fn epoch(&self, now: UnixSeconds) -> Result<UnixSeconds, Malformed> {
        self.number("epoch")?.map(|epoch| epoch.min(now)).ok_or(Malformed::Missing("epoch"))
    }
}

/// Of an id: visible ASCII, not longer than [`ID_BYTES_MAX`].
///
/// # Errors
/// It is not.
pub fn legal(name: &'static str, text: &str) -> Result<String, Malformed> {
    let visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_legal = visible && text.len() <= ID_BYTES_MAX;
    is_legal.then(|| text.to_owned()).ok_or(Malformed::Illegal(name))
}

/// A jti by which tokens are named; a token with another one is named by its SHA-256.
fn nameable(jti: &str) -> Option<String> {
    is_token_id(jti).then(|| jti.to_owned())
}

fn expiry(given: Option<i64>, now: UnixSeconds) -> UnixSeconds {
    let exp = match given {
        None => now.saturating_add(EXPIRY_UNKNOWN_S),
        Some(milliseconds) if milliseconds > SECONDS_MAX => milliseconds / 1_000,
        Some(seconds) => seconds,
    };
    exp.min(now.saturating_add(EXPIRY_S_MAX))
}

#[cfg(test)]
mod tests;
