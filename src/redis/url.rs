//! The URL: where Redis is and who comes. It may hold a password, so no error repeats any of it.

use std::sync::Mutex;

use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use super::{Kind, Node};

/// The reason why the URL of a Redis or Valkey server was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisUrlError {
    /// It has none of the schemes, or no `://`.
    #[error(
        "the URL begins with redis://, redis+sentinel://, redis+cluster:// or redis+unix://, or with rediss \
         for TLS"
    )]
    Scheme,
    /// A host is missing or is none, or its port is no number.
    #[error("the URL has a host that cannot be read, or none; several are separated by commas")]
    Host,
    /// Sentinels were given, and not the name by which they know the master.
    #[error(
        "the URL names Sentinels, so the name of their master follows: redis+sentinel://host/name"
    )]
    MasterName,
    /// The database is no number, or it is not 0 and this is a cluster, which has no other.
    #[error("the database in the URL is no number, or the server is a cluster, which has only 0")]
    Database,
    /// A user name or a password is not percent-encoded UTF-8.
    #[error("the user or the password in the URL is not percent-encoded UTF-8")]
    Login,
    /// It has something that is not known here, such as a parameter.
    #[error("the URL has a parameter or a fragment that is not known here")]
    Unknown,
}

/// Parses a URL to where it leads, who comes, and whether by TLS.
pub(super) fn parse(url: &str) -> Result<(Kind, RedisConnectionInfo, bool), RedisUrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(RedisUrlError::Scheme)?;
    let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
    let tls = match scheme {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return Err(RedisUrlError::Scheme),
    };
    if !["", "sentinel", "cluster", "unix"].contains(&kind) {
        return Err(RedisUrlError::Scheme);
    }
    if rest.contains('#') {
        // The client knows one, `#insecure`, which anybody between can read and write.
        return Err(RedisUrlError::Unknown);
    }
    if kind == "unix" {
        let info = info(&format!("redis+unix://{rest}"))?;
        return Ok((Kind::Single(info.addr().clone()), info.redis_settings().clone(), false));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // A password may hold an `@` only encoded, yet the last one is the one that counts everywhere.
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (Some(login), hosts),
        None => (None, authority),
    };
    let (master, database) = match kind {
        "sentinel" => path.split_once('/').unwrap_or((path, "")),
        _ => ("", path),
    };
    let port = if kind == "sentinel" { 26379 } else { 6379 };
    let nodes: Vec<Node> =
        hosts.split(',').map(|host| node(host, port)).collect::<Result<_, _>>()?;
    let login = login_of(login, database)?;
    let parameters = Parameters::parse(query)?;
    if kind != "sentinel" && parameters != Parameters::default() {
        return Err(RedisUrlError::Unknown);
    }
    let kind = match (kind, nodes.as_slice()) {
        ("", [Node { host, port }]) => {
            let (host, port) = (host.clone(), *port);
            Kind::Single(match tls {
                true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
                false => ConnectionAddr::Tcp(host, port),
            })
        }
        ("", _) => return Err(RedisUrlError::Host),
        ("sentinel", _) if master.is_empty() => return Err(RedisUrlError::MasterName),
        ("sentinel", _) => {
            let mut login = RedisConnectionInfo::default();
            if let Some(user) = parameters.user {
                login = login.set_username(user);
            }
            if let Some(password) = parameters.password {
                login = login.set_password(password);
            }
            Kind::Sentinel { sentinels: nodes, master: master.to_owned(), login }
        }
        ("cluster", _) if login.db() != 0 => return Err(RedisUrlError::Database),
        ("cluster", _) => Kind::Cluster(Mutex::new(nodes)),
        _ => return Err(RedisUrlError::Scheme),
    };
    Ok((kind, login, tls))
}

/// Parses one host and port, by the rules of the client.
fn node(host: &str, port: u16) -> Result<Node, RedisUrlError> {
    // With a port, so that what is absent is not taken for the client's own default.
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let host = if has_port { host.to_owned() } else { format!("{host}:{port}") };
    match info(&format!("redis://{host}"))?.addr() {
        ConnectionAddr::Tcp(host, port) if !host.is_empty() && *port != 0 => {
            Ok(Node { host: host.clone(), port: *port })
        }
        _ => Err(RedisUrlError::Host),
    }
}

/// Parses the part before the `@` and the number after the hosts.
fn login_of(login: Option<&str>, database: &str) -> Result<RedisConnectionInfo, RedisUrlError> {
    let database = database.trim_end_matches('/');
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Err(RedisUrlError::Database);
    }
    let login = login.map(|login| format!("{login}@")).unwrap_or_default();
    let info = format!("redis://{login}host/{database}").into_connection_info();
    Ok(info.map_err(|_| RedisUrlError::Login)?.redis_settings().clone())
}

fn info(url: &str) -> Result<ConnectionInfo, RedisUrlError> {
    // The client's error may repeat a part of the URL.
    url.into_connection_info().map_err(|_| RedisUrlError::Host)
}

/// What follows the `?`.
#[derive(Debug, Default, PartialEq)]
struct Parameters {
    user: Option<String>,
    password: Option<String>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, RedisUrlError> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(RedisUrlError::Unknown)?;
            let place = match name {
                "sentinel_user" => &mut parameters.user,
                "sentinel_password" => &mut parameters.password,
                _ => return Err(RedisUrlError::Unknown),
            };
            // Decoded as a password before an `@` is.
            let decoded = login_of(Some(&format!(":{value}")), "")?;
            *place = decoded.password().map(str::to_owned);
        }
        Ok(parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str) -> String {
        let (kind, login, tls) = match parse(url) {
            Ok(parsed) => parsed,
            Err(error) => return format!("{error:?}"),
        };
        let nodes = |nodes: &[Node]| {
            let nodes = nodes.iter().map(|Node { host, port }| format!("{host} {port}"));
            nodes.collect::<Vec<_>>().join(", ")
        };
        let kind = match &kind {
            Kind::Single(addr) => format!("one {addr}"),
            Kind::Sentinel { sentinels, master, login } => {
                let (user, password) = (login.username(), login.password());
                format!("sentinel {} {master} {user:?} {password:?}", nodes(sentinels))
            }
            Kind::Cluster(found) => format!("cluster {}", nodes(&found.lock().unwrap())),
        };
        let (user, password, database) = (login.username(), login.password(), login.db());
        format!("{kind} as {user:?} {password:?} in {database} {tls}")
    }

    #[test]
    fn a_url_tells_where_and_who_and_how() {
        for (url, expected) in [
            ("redis://localhost", "one localhost:6379 as None None in 0 false"),
            ("rediss://h:1/3", "one h:1 as None None in 3 true"),
            ("valkey://jane:s%40%2fp@h", r#"one h:6379 as Some("jane") Some("s@/p") in 0 false"#),
            ("redis://:p@[2001:db8::1]:7", r#"one 2001:db8::1:7 as None Some("p") in 0 false"#),
            ("redis://[2001:db8::1]", "one 2001:db8::1:6379 as None None in 0 false"),
            (
                "redis+sentinel://u:p@a,b:9/main/2?sentinel_user=s&sentinel_password=q%26r",
                r#"sentinel a 26379, b 9 main Some("s") Some("q&r") as Some("u") Some("p") in 2 false"#,
            ),
            ("rediss+sentinel://a/main", "sentinel a 26379 main None None as None None in 0 true"),
            ("redis+cluster://a,b:7", "cluster a 6379, b 7 as None None in 0 false"),
            ("redis+unix:///run/r.sock?db=4", "one /run/r.sock as None None in 4 false"),
            ("localhost:6379", "Scheme"),
            ("http://h", "Scheme"),
            ("redis+sentinels://h/m", "Scheme"),
            ("redis://", "Host"),
            ("redis://a,b", "Host"),
            ("redis://h:99999", "Host"),
            ("redis://h:0", "Host"),
            ("redis+cluster://a,,b", "Host"),
            ("redis+sentinel://a,b", "MasterName"),
            ("redis://h/x", "Database"),
            ("redis://h/-1", "Database"),
            ("redis+cluster://a/1", "Database"),
            ("redis://%ff:x@h", "Login"),
            ("rediss://h/#insecure", "Unknown"),
            ("redis://h?protocol=resp3", "Unknown"),
            ("redis+sentinel://a/m?sentinel=1", "Unknown"),
        ] {
            assert_eq!(told(url), expected, "{url}");
        }
    }

    #[test]
    fn no_error_and_no_debug_text_holds_the_password() {
        for url in ["redis://u:geheim@h/x", "redis://u:geheim@h:x", "redis+cluster://u:geheim@,"] {
            let error = parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("geheim"), "{url}");
        }
        let server = super::super::Server::parse("redis://u:geheim@h").unwrap();
        assert!(!format!("{server:?}").contains("geheim"));
    }
}
