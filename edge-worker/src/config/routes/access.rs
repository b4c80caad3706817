//! The words of an access class, read and printed.

use super::pattern::{Mistake, parameter};
use super::{Access, Segment, VenueFrom, VenueNeed};

/// Roles a row may demand (`docs/reference/routes.md`).
pub const CANONICAL_ROLES: [&str; 10] = [
    "venue-owner",
    "venue-manager",
    "box-office",
    "door-staff",
    "customer",
    "admin",
    "superadmin",
    "compliance-admin",
    "operator",
    "support",
];

/// The parameter that names a venue.
const VENUE: &str = "venueId";

/// Reads an access class, or several joined by ` or `. `deny` is not a class but a target.
///
/// # Errors
/// An unknown class or role, a permission that is none, or a parameter the path does not have.
pub fn access(words: &str, segments: &[Segment]) -> Result<Access, Mistake> {
    let mut classes: Vec<Access> = Vec::new();
    for word in words.split(" or ") {
        classes.push(class(word.trim(), segments)?);
    }
    let [only] = classes.as_slice() else { return combination(words, classes) };
    if is_query_venue(only) {
        let what = format!("`{words}` does not say who passes without a venue in the query");
        return Err(Mistake::new(what, "add `or` and a class"));
    }
    Ok(only.clone())
}

/// A query venue decides first, and something must decide without it; a public class has no alternatives; and one
/// look-up answers for one venue.
fn combination(words: &str, classes: Vec<Access>) -> Result<Access, Mistake> {
    if classes.iter().any(|class| class.is_public() || *class == Access::User) {
        let what = format!("`{words}` joins a class that lets everybody through to others");
        return Err(Mistake::new(what, "name the wider class alone"));
    }
    if classes.iter().skip(1).any(is_query_venue) {
        let what = format!("`{words}` names the query venue too late");
        return Err(Mistake::new(what, "put query-venue first"));
    }
    if classes.iter().filter(|class| is_path_venue(class)).count() > 1 {
        let what = format!("`{words}` wants several things of one venue");
        return Err(Mistake::new(what, "name the one that all who may pass have at the venue"));
    }
    Ok(Access::Any(classes))
}

fn is_path_venue(class: &Access) -> bool {
    matches!(class, Access::Venue { venue: VenueFrom::Segment(_), .. })
}

fn is_query_venue(class: &Access) -> bool {
    matches!(class, Access::Venue { venue: VenueFrom::Query, .. })
}

fn class(word: &str, segments: &[Segment]) -> Result<Access, Mistake> {
    let (name, value) = word.split_once(':').unwrap_or((word, ""));
    match (name, value) {
        ("pub", "") => Ok(Access::Public),
        ("scrapers", "") => Ok(Access::Scrapers),
        ("user", "") => Ok(Access::User),
        ("own", value) => Ok(Access::Own { segment: index(value, segments)? }),
        ("perm", value) => Ok(Access::Permission(permission(value)?)),
        ("role", value) => roles(value).map(Access::Role),
        ("staff", value) => Ok(Access::Staff(permission(value)?)),
        ("venue", value) => {
            Ok(Access::Venue { need: need(value)?, venue: VenueFrom::Segment(index(VENUE, segments)?) })
        }
        ("query-venue", value) => Ok(Access::Venue { need: need(value)?, venue: VenueFrom::Query }),
        _ => Err(Mistake::new(
            format!("`{word}` is not an access class"),
            "use pub, scrapers, user, own:, perm:, role:, staff:, venue:, query-venue: or deny",
        )),
    }
}

fn index(name: &str, segments: &[Segment]) -> Result<u8, Mistake> {
    parameter(segments, name).ok_or_else(|| {
        Mistake::new(format!("access names {{{name}}}, which the path does not have"), "add it to the path")
    })
}

fn need(word: &str) -> Result<VenueNeed, Mistake> {
    match word {
        "member" => Ok(VenueNeed::Member),
        "owner" => Ok(VenueNeed::Owner),
        _ => permission(word).map(VenueNeed::Permission),
    }
}

fn permission(word: &str) -> Result<String, Mistake> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":._-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return Ok(word.to_owned());
    }
    Err(Mistake::new(format!("`{word}` is not a permission"), "write one as in tickets:purchase"))
}

fn roles(words: &str) -> Result<Vec<String>, Mistake> {
    let roles: Vec<String> = words.split(',').map(|role| role.trim().to_owned()).collect();
    match roles.iter().find(|role| !CANONICAL_ROLES.contains(&role.as_str())) {
        None => Ok(roles),
        Some(role) => {
            Err(Mistake::new(format!("`{role}` is not a canonical role"), "use the names of the role table"))
        }
    }
}

impl Access {
    /// The words that [`access`] reads, for `floodgate routes` and the reference.
    #[must_use]
    pub fn words(&self, segments: &[Segment]) -> String {
        match self {
            Self::Public => "pub".to_owned(),
            Self::Scrapers => "scrapers".to_owned(),
            Self::User => "user".to_owned(),
            Self::Own { segment } => match segments.get(usize::from(*segment)) {
                Some(Segment::Parameter(name)) => format!("own:{name}"),
                _ => "own:?".to_owned(),
            },
            Self::Permission(permission) => format!("perm:{permission}"),
            Self::Role(roles) => format!("role:{}", roles.join(",")),
            Self::Staff(permission) => format!("staff:{permission}"),
            Self::Venue { need, venue } => {
                let place = if *venue == VenueFrom::Query { "query-venue" } else { "venue" };
                let need = match need {
                    VenueNeed::Member => "member",
                    VenueNeed::Owner => "owner",
                    VenueNeed::Permission(permission) => permission,
                };
                format!("{place}:{need}")
            }
            Self::Any(classes) => {
                let words: Vec<String> = classes.iter().map(|class| class.words(segments)).collect();
                words.join(" or ")
            }
        }
    }
}

#[cfg(test)]
mod tests;
