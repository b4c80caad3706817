//! Records of API keys. Others write them, so that they carry no MAC: who can write this Redis can make keys. A Redis
//! user that may write `api:key:*` and nothing else is advised for the writer.

use super::answer::text_of;
use super::connection::{CallFault, Connection};
use super::operation::Operation;
use aws_lc_rs::digest;
use edge_worker::config::secret::Secret;
use edge_worker::identity::digests::hexadecimal;
use edge_worker::pipeline::api_key;
use serde::Deserialize;

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyRecord {
    pub venue_id: String,
    /// Requests a minute, instead of the tier's.
    pub rate_limit: Option<u64>,
    pub tier: Option<String>,
}

/// Looks keys up under API_KEY_TEMPLATES.
#[derive(Clone)]
pub struct ApiKeys {
    connection: Connection,
    templates: Vec<String>,
}

impl ApiKeys {
    /// Each template holds `{key}` or `{sha256}` once.
    #[must_use]
    pub fn new(connection: Connection, templates: Vec<String>) -> ApiKeys {
        ApiKeys { connection, templates }
    }

    /// The record under the first template that has one. `None` for an unknown key, an illegal one (which is not
    /// asked for), and a record of another shape.
    ///
    /// # Errors
    /// Redis did not say what is there: it is down, or it refused.
    pub async fn find(&self, key: &Secret<String>) -> Result<Option<ApiKeyRecord>, CallFault> {
        if api_key::legal(key.expose().as_bytes()).is_none() {
            return Ok(None);
        }
        let sha256 = hexadecimal(digest::digest(&digest::SHA256, key.expose().as_bytes()).as_ref());
        let commands = self.templates.iter().map(|template| {
            let mut command = redis::cmd("GET");
            command.arg(template.replace("{key}", key.expose()).replace("{sha256}", &sha256));
            command
        });
        let replies = self.connection.batch(Operation::ApiKey, commands.collect()).await?;
        for reply in replies {
            match reply {
                Ok(value) => {
                    if let Some(text) = text_of(&value) {
                        return Ok(serde_json::from_str(&text).ok());
                    }
                }
                // A key of another type is no record.
                Err(fault) if fault.is_wrong_type() => {}
                // Whatever else Redis refuses, it has not said that there is no record.
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }
}
