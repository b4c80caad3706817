//! `floodgate revoke`: has a running node withdraw tokens, on every node.

use super::{ExitCode, print};
use crate::admin::operator::{self, OperatorFault};
use crate::admin::order::{Order, OrderAnswer, Revoked, Spread};
use crate::admin::sockets::CONTROL_SOCKET;
use edge_worker::clock::UnixSeconds;
use edge_worker::config::limits::AUTHORIZATION_BYTES_MAX;
use edge_worker::config::{Sources, runtime_dir};
use edge_worker::control::asks::Named;
use edge_worker::identity::claims::Envelope;
use edge_worker::identity::digests::sha256_digits;
use edge_worker::identity::verifier::is_token_id;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

/// What `floodgate revoke` is told.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    socket: Socket,
    #[command(subcommand)]
    whom: Whom,
}

/// Which node, and why.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Socket {
    /// The node's control socket; default control.sock in FLOODGATE_RUNTIME_DIR.
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Why, for the node's audit log.
    #[arg(long, global = true, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
enum Whom {
    /// One token, read from standard input: others see the command line.
    Token {
        /// Its id instead of the token itself.
        #[arg(long, requires = "expires")]
        jti: Option<String>,
        /// When it expires, in seconds since 1970.
        #[arg(long, value_name = "UNIX", requires = "jti")]
        expires: Option<UnixSeconds>,
    },
    /// All tokens of a user that were issued up to now.
    User {
        /// The user's tenant.
        #[arg(long)]
        tenant: String,
        /// The id of one token that stays good.
        #[arg(long, value_name = "JTI")]
        except: Option<String>,
        /// sub of the user's tokens.
        user: String,
    },
    /// All tokens of a tenant that were issued up to now.
    Tenant {
        /// tenant_id of the tenant's tokens.
        tenant: String,
    },
}

/// Gives the order and prints what became of it.
#[must_use]
pub fn run(arguments: Arguments, sources: &Sources) -> ExitCode {
    let Arguments { socket, whom } = arguments;
    let (whom, said) = match named(whom) {
        Ok(named) => named,
        Err(what) => return fail("revoke", what, ExitCode::Usage),
    };
    match order("revoke", &socket, &Order::Revoke { whom, reason: socket.reason.clone() }, sources) {
        Ok(OrderAnswer::Revoked { spread, table_full }) => tell(&said, spread, table_full),
        Ok(_) => fail("revoke", "the node answered something else", ExitCode::Unavailable),
        Err(code) => code,
    }
}

/// Gives a node an order for `command`, and says why nothing was done, if so.
pub(super) fn order(
    command: &str,
    socket: &Socket,
    order: &Order,
    sources: &Sources,
) -> Result<OrderAnswer, ExitCode> {
    let path = match &socket.socket {
        Some(path) => path.clone(),
        None => match runtime_dir(sources) {
            Ok(directory) => directory.join(CONTROL_SOCKET),
            Err(problems) => {
                super::complain(&problems);
                return Err(ExitCode::Configuration);
            }
        },
    };
    match operator::give(&path, order) {
        Ok(answer) => accepted(command, answer),
        Err(fault @ OperatorFault::NotAllowed { .. }) => {
            Err(fail(command, &fault.to_string(), ExitCode::NotAllowed))
        }
        Err(fault) => Err(fail(command, &fault.to_string(), ExitCode::Unavailable)),
    }
}

/// An answer that is no refusal.
fn accepted(command: &str, answer: OrderAnswer) -> Result<OrderAnswer, ExitCode> {
    match answer {
        OrderAnswer::Refused { what, remedy } => {
            Err(fail(command, &format!("{what}; {remedy}"), ExitCode::Usage))
        }
        OrderAnswer::NotAllowed => {
            let what = "this user may not give the node orders; run it as root, as the user of the node, or in its group";
            Err(fail(command, what, ExitCode::NotAllowed))
        }
        answer => Ok(answer),
    }
}

/// Whom the order names, and in words.
fn named(whom: Whom) -> Result<(Revoked, String), &'static str> {
    match whom {
        Whom::Token { jti: Some(jti), expires: Some(expires_at) } => {
            let said = format!("token {jti}");
            Ok((Revoked::Token { token: Named::Jti(jti), expires_at }, said))
        }
        Whom::Token { .. } => {
            let mut line = Vec::new();
            let most = AUTHORIZATION_BYTES_MAX as u64 + 2;
            BufReader::new(io::stdin().lock().take(most))
                .read_until(b'\n', &mut line)
                .map_err(|_| "standard input cannot be read; give the token there, or --jti and --expires")?;
            of_token(&line)
        }
        Whom::User { tenant, except, user } => {
            let kept = except.as_ref().map(|jti| format!(", but for token {jti}")).unwrap_or_default();
            let said = format!("all tokens of user {user} of tenant {tenant} issued until now{kept}");
            Ok((Revoked::User { tenant, subject: user, except }, said))
        }
        Whom::Tenant { tenant } => {
            let said = format!("all tokens of tenant {tenant} issued until now");
            Ok((Revoked::Tenant { tenant }, said))
        }
    }
}

/// Names the token in a line of standard input. Its signature is not checked: a token that was not signed by
/// the platform opens nothing, so that what it names is all that matters.
fn of_token(line: &[u8]) -> Result<(Revoked, String), &'static str> {
    let line = line.trim_ascii();
    let token = match line.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer ") => rest.trim_ascii_start(),
        _ => line,
    };
    if token.is_empty() {
        return Err("there is no token on standard input; give it there, or --jti and --expires");
    }
    let envelope = Envelope::open(token).ok_or("standard input holds no token of three parts")?;
    let claims = envelope.claims().ok_or("the token's claims cannot be read")?;
    if claims.kind.as_deref() != Some("access") {
        return Err("this is no access token, so no node accepts it; auth-service revokes refresh tokens");
    }
    let expires_at = claims.expires_at.ok_or("the token does not expire, so no node accepts it")?;
    let jti = claims.jti.as_deref().filter(|jti| is_token_id(jti));
    let (subject, tenant) =
        (claims.subject.as_deref().unwrap_or("?"), claims.tenant.as_deref().unwrap_or("?"));
    let name = jti.unwrap_or("without an id").escape_debug().to_string();
    let (subject, tenant) = (subject.escape_debug(), tenant.escape_debug());
    let said = format!("token {name} of user {subject} of tenant {tenant}");
    let token = jti.map_or_else(|| Named::Sha256(sha256_digits(token)), |jti| Named::Jti(jti.to_owned()));
    Ok((Revoked::Token { token, expires_at }, said))
}

fn tell(said: &str, spread: Spread, table_full: bool) -> ExitCode {
    let (outcome, code) = match spread {
        Spread::Expired => ("nothing to do: it has expired".to_owned(), ExitCode::Success),
        Spread::Alone => {
            ("revoked on this node, which has no Redis and so no others".to_owned(), ExitCode::Success)
        }
        Spread::Published => {
            ("revoked on this node and published to all others".to_owned(), ExitCode::Success)
        }
        Spread::Queued { waiting } => {
            let text = format!(
                "revoked on this node and queued: Redis does not take it now ({waiting} waiting). The node publishes \
                 it by itself; until then other nodes accept these tokens"
            );
            (text, ExitCode::Queued)
        }
        Spread::Unpublished => {
            let text = "revoked on this node ALONE: too many revocations wait for Redis. Order it again when Redis is \
                        back, or on every node";
            (text.to_owned(), ExitCode::Queued)
        }
        Spread::Refused => {
            let text = "revoked on this node ALONE: Redis refuses to take it (revocation_refused in the node's log says \
                        why). The node tries again every 30 s; until then other nodes accept these tokens";
            (text.to_owned(), ExitCode::Queued)
        }
    };
    let full = if table_full {
        "\nthe node's table of revocations is full: it answers 503 to tokens that the table does not clear; see \
         docs/authentication.md"
    } else {
        ""
    };
    print(&format!("{said}: {outcome}{full}\n"));
    code
}

/// Says why `command` did nothing.
pub(super) fn fail(command: &str, what: &str, code: ExitCode) -> ExitCode {
    eprintln!("floodgate {command}: {what}");
    code
}

#[cfg(test)]
mod tests;
