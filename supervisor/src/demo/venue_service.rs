//! The demo's venue-service, as far as it is asked who works where. It reads the user's own token.

use super::auth_service::Answer;
use super::people::{Person, Position};
use serde_json::{Value, json};

/// `GET /api/v1/venues/user` and `GET /api/v1/venues/{venueId}/check-access`; `None` is another path.
#[must_use]
pub fn answer(path: &str, bearer: Option<&Person>) -> Option<Answer> {
    let below = path.strip_prefix("/api/v1/venues/")?;
    let question = match below.strip_suffix("/check-access") {
        Some(venue) => Question::Access(venue),
        None if below == "user" => Question::List,
        None => return None,
    };
    let Some(person) = bearer else { return Some((401, json!({ "error": "A token is needed." }))) };
    let document = match question {
        Question::Access(venue) => access(person.works_at.filter(|position| position.venue == venue)),
        Question::List => {
            let entry = |position: &Position| json!({ "id": position.venue, "tenantId": person.tenant.id });
            person.works_at.into_iter().map(entry).collect()
        }
    };
    Some((200, document))
}

enum Question<'p> {
    Access(&'p str),
    List,
}

fn access(position: Option<&Position>) -> Value {
    match position {
        Some(Position { role, permissions, .. }) => {
            json!({ "hasAccess": true, "role": role, "permissions": permissions })
        }
        None => json!({ "hasAccess": false, "role": null, "permissions": [] }),
    }
}
