//! `sealed-session inspect`, `seal`, `open`, `capacity`: sessions and their cookies.

mod any;
mod beside;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use sealed_session::store::BlobError;
use sealed_session::{
    Codec, ConfigError, Contents, DecodeError, Inspection, Key, KeyInfo, KeyRing, KeyState, Limits,
    Opened, RequestCookies,
};
use serde_json::{Value, json};

use self::any::Any;
use crate::output::{BOLD, Cell, DIM, Failure, GREEN, Output, RED, duration, piped, rfc3339, when};
use crate::printable::printable_json;
use crate::ring;

/// What a codec is made of.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// The name of the cookie.
    #[arg(long, value_name = "NAME", default_value = "__Host-session")]
    name: String,
    /// The context that the application binds its sessions to.
    #[arg(long, value_name = "TEXT", default_value = "")]
    context: String,
    /// How long a session lives from its beginning.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    absolute_timeout: Duration,
    /// How long a session lives without being resealed.
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration)]
    idle_timeout: Duration,
    /// The number of the session's schema.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    schema: u32,
    /// What proxies on the way let through.
    #[arg(long, value_name = "PROFILE", default_value = "nginx")]
    limits: Profile,
}

/// The profiles of `Limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// An nginx without any setting: one cookie.
    Nginx,
    /// proxy_buffer_size 8k: two cookies.
    Nginx8k,
    /// proxy_buffer_size 16k, and more: four cookies.
    Nginx16k,
}

impl Profile {
    fn limits(self) -> Limits {
        match self {
            Self::Nginx => Limits::UNMODIFIED_NGINX,
            Self::Nginx8k => Limits::NGINX_PROXY_BUFFER_8K,
            Self::Nginx16k => Limits::NGINX_PROXY_BUFFER_16K,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Nginx8k => "nginx8k",
            Self::Nginx16k => "nginx16k",
        }
    }
}

/// Where the keys are.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// The key file. Without one, the keys of the environment variable SEALED_SESSION_KEYS.
    #[arg(long, short, value_name = "FILE", env = "SEALED_SESSION_KEY_FILE")]
    keys: Option<PathBuf>,
    /// A program that prints the key file, and its arguments, split at white space. There is no shell, so quotes are
    /// refused.
    #[arg(long, value_name = "COMMAND")]
    keys_command: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A cookie's value, or a Cookie header; without it, the standard input. Prefer that for the cookie of
    /// a session that lives: others on this machine can read a command line, and log in with it.
    cookie: Option<String>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    place: beside::Place,
}

#[derive(Debug, Args)]
pub(crate) struct Seal {
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    settings: Settings,
    /// Print a Cookie header as a browser would send it, instead of Set-Cookie values.
    #[arg(long)]
    cookie: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// A cookie's value, or a Cookie header; without it, the standard input. Prefer that for the cookie of
    /// a session that lives: others on this machine can read a command line, and log in with it.
    cookie: Option<String>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    place: beside::Place,
}

#[derive(Debug, Args)]
pub(crate) struct Capacity {
    /// The name of the cookie.
    #[arg(long, value_name = "NAME", default_value = "__Host-session")]
    name: String,
    /// The Domain attribute, if the cookie has one.
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    /// The Path attribute.
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
    /// Count a session id.
    #[arg(long)]
    session_ids: bool,
}

impl Keys {
    /// Returns the ring, if keys were given.
    fn ring(&self) -> Result<Option<KeyRing>, Failure> {
        Ok(self.ring_and_keys()?.map(|(ring, _)| ring))
    }

    /// Returns what is known of its keys too.
    fn ring_and_keys(&self) -> Result<Option<(KeyRing, Vec<KeyInfo>)>, Failure> {
        if self.keys.is_some() || self.keys_command.is_some() {
            let file = ring::load(self.keys.as_deref(), self.keys_command.as_deref())?;
            return Ok(Some((file.ring()?, file.keys_at(SystemTime::now()))));
        }
        if std::env::var_os(KeyRing::ENV).is_none() {
            return Ok(None);
        }
        let ring = KeyRing::from_env().map_err(|error| Failure::No("keys", error.to_string()))?;
        Ok(Some((ring, Vec::new())))
    }

    fn required(&self) -> Result<KeyRing, Failure> {
        let told = "no keys; give --keys FILE, or set SEALED_SESSION_KEYS";
        self.ring()?.ok_or_else(|| Failure::Usage(told.to_owned()))
    }
}

impl Settings {
    fn codec(&self, ring: KeyRing) -> Result<Codec<Any>, Failure> {
        Codec::builder(ring)
            .name(&self.name)
            .context(self.context.clone())
            .absolute_timeout(self.absolute_timeout)
            .idle_timeout(self.idle_timeout.min(self.absolute_timeout))
            .schema(self.schema)
            .limits(self.limits.limits())
            .build()
            .map_err(misused)
    }
}

impl Settings {
    /// Returns why a cookie does not open, and what it may be under which it was tried.
    fn refused(&self, error: &DecodeError) -> Failure {
        match error {
            DecodeError::InvalidTag => {
                let context = match self.context.as_str() {
                    "" => "no context".to_owned(),
                    context => format!("the context `{context}`"),
                };
                Failure::No(
                    "refused",
                    format!(
                        "the cookie was sealed for another name or context than `{}` and {context}, or it is damaged or \
                         forged; give those of the application with --name and --context",
                        self.name
                    ),
                )
            }
            other => Failure::No("refused", other.to_string()),
        }
    }
}

/// Returns the first integer of a JSON text that has more than 64 bits.
fn rounded_integer(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = rest.get(at..)?;
        if let Some(string) = rest.strip_prefix('"') {
            // To the quote that no backslash escapes.
            let mut escaped = false;
            let end = string.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })?;
            rest = string.get(end + 1..)?;
        } else {
            let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
            let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
            let integer = !number.contains(['.', 'e', 'E']);
            if integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                return Some(number);
            }
            rest = after;
        }
    }
    None
}

/// Prints a note if a number is one that may have been an integer of more than 64 bits.
fn warn_of_rounding(session: &Value, out: &Output) {
    fn is_in(value: &Value) -> bool {
        match value {
            Value::Number(number) => {
                !number.is_i64()
                    && !number.is_u64()
                    && number
                        .as_f64()
                        .is_some_and(|number| number.abs() >= 9_223_372_036_854_775_808.0)
            }
            Value::Array(values) => values.iter().any(is_in),
            Value::Object(values) => values.values().any(is_in),
            _ => false,
        }
    }
    if is_in(session) {
        out.warn(
            "a number of the session is beyond 64 bits; if it is an integer, it is shown rounded",
        );
    }
}

fn misused(error: ConfigError) -> Failure {
    Failure::Usage(error.to_string())
}

pub(crate) fn inspect(args: &Inspect, out: &mut Output) -> Result<(), Failure> {
    let now = SystemTime::now();
    let keys = args.keys.ring_and_keys()?;
    let with_keys = keys.is_some();
    let (ring, keys) = match keys {
        Some((ring, keys)) => (ring, keys),
        // What stands in clear needs no key.
        None => {
            (Key::generate().map_err(|error| Failure::Io(error.to_string()))?.into(), Vec::new())
        }
    };
    let codec = args.settings.codec(ring)?;
    let input = input(args.cookie.as_deref())?;
    let request = request(&codec, &input)?;
    let beside = args.place.open()?;
    let mut found = codec.inspect_with_at(&request, now, |id| beside.fetch(id));
    for one in &mut found {
        if let Ok(Contents { session: Ok(Any(session)), .. }) = &mut one.contents {
            beside.show(&codec, session)?;
        }
    }
    if out.json {
        let found: Vec<_> = found.iter().map(|one| inspection_json(one, with_keys)).collect();
        out.print_json(&json!({ "cookie": codec.name(), "values": found }))?;
    }
    for one in &found {
        inspection(one, &codec, &keys, with_keys, now, out)?;
        if let Ok(Contents { session: Ok(Any(session)), .. }) = &one.contents {
            warn_of_rounding(session, out);
        }
    }
    for one in found {
        // Where keys were given, the question was whether they open it.
        let refused = one.header.err().or(match one.contents {
            Err(error) => Some(error).filter(|_| with_keys),
            Ok(contents) => lost(contents.session),
        });
        if let Some(error) = refused {
            return Err(args.settings.refused(&error));
        }
    }
    Ok(())
}

/// Returns why a store did not give the session, if it was asked.
fn lost(session: Result<Any, DecodeError>) -> Option<DecodeError> {
    match session {
        Err(DecodeError::Blob(BlobError::NotFetched(_))) => None,
        Err(error @ DecodeError::Blob(_)) => Some(error),
        _ => None,
    }
}

fn inspection(
    found: &Inspection<Any>,
    codec: &Codec<Any>,
    keys: &[KeyInfo],
    with_keys: bool,
    now: SystemTime,
    out: &mut Output,
) -> Result<(), Failure> {
    out.field("cookie", format_args!("{BOLD}{}{BOLD:#}", codec.name()))?;
    match &found.header {
        Ok(header) => {
            out.field("version", header.version)?;
            out.field(
                "key",
                format_args!("{}{}", header.key, role(codec, header.key, keys, with_keys, now)),
            )?;
            out.field("cookies", header.cookies)?;
        }
        Err(error) => out.field("header", format_args!("{RED}{error}{RED:#}"))?,
    }
    out.field("length", format_args!("{} characters", found.characters))?;
    if !with_keys {
        return out.field("inside", format_args!("{DIM}sealed; give --keys to look{DIM:#}"));
    }
    match &found.contents {
        Ok(contents) => inside(contents, now, out),
        Err(error) => out.field("inside", format_args!("{RED}{error}{RED:#}")),
    }
}

fn inside(contents: &Contents<Any>, now: SystemTime, out: &mut Output) -> Result<(), Failure> {
    out.field("began", when(contents.began, now))?;
    out.field("sealed", when(contents.sealed, now))?;
    let style = if contents.expires <= now { RED } else { GREEN };
    let expires = when(contents.expires, now);
    out.field("expires", format_args!("{style}{expires}{style:#}"))?;
    if let Some(id) = contents.id {
        out.field("id", id)?;
    }
    out.field("format", format_args!("{}, schema {}", contents.format, contents.schema))?;
    if let Some(blob) = contents.blob {
        let bytes = contents.blob_bytes.map(|bytes| format!(", {bytes} bytes"));
        out.field("blob", format_args!("{blob}{}", bytes.unwrap_or_default()))?;
        if let Err(DecodeError::Blob(BlobError::NotFetched(_))) = contents.session {
            let told = "in the store; give --store, or SEALED_SESSION_REDIS_URL, to look";
            return out.field("session", format_args!("{DIM}{told}{DIM:#}"));
        }
    }
    out.field("packing", contents.packing)?;
    out.field(
        "bytes",
        format_args!(
            "{} serialized, {} packed, {} of padding, {} sealed in all",
            contents.body_bytes,
            contents.packed_bytes,
            contents.padding_bytes,
            contents.message_bytes
        ),
    )?;
    match &contents.session {
        Ok(session) => out.line(format_args!("\n{}", printable_json(&format!("{:#}", session.0)))),
        Err(error) => out.field("session", format_args!("{RED}{error}{RED:#}")),
    }
}

/// Returns what the key of a cookie is to the ring.
fn role(
    codec: &Codec<Any>,
    id: sealed_session::KeyId,
    keys: &[KeyInfo],
    with_keys: bool,
    now: SystemTime,
) -> &'static str {
    let state = keys.iter().find(|key| key.id == id).map(|key| key.state);
    if !with_keys {
        ""
    } else if let Some(state) = state {
        match state {
            KeyState::Primary => ", the primary",
            KeyState::Pending => ", pending",
            KeyState::Retired => ", retired",
            KeyState::Revoked => ", revoked",
            _ => ", of the ring",
        }
    } else if codec.ring().primary_at(now) == Some(id) {
        ", the primary"
    } else if codec.ring().ids().contains(&id) {
        ", of the ring"
    } else {
        ", not in the ring"
    }
}

fn inspection_json(found: &Inspection<Any>, with_keys: bool) -> Value {
    let header = match &found.header {
        Ok(header) => json!({
            "version": header.version,
            "key": header.key.to_string(),
            "cookies": header.cookies,
        }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    let contents = match &found.contents {
        _ if !with_keys => Value::Null,
        Ok(contents) => json!({
            "began": rfc3339(contents.began),
            "sealed": rfc3339(contents.sealed),
            "expires": rfc3339(contents.expires),
            "schema": contents.schema,
            "id": contents.id.map(|id| id.to_string()),
            "format": contents.format.to_string(),
            "blob": contents.blob.map(|blob| blob.to_string()),
            "blob_bytes": contents.blob_bytes,
            "packing": contents.packing,
            "body_bytes": contents.body_bytes,
            "packed_bytes": contents.packed_bytes,
            "padding_bytes": contents.padding_bytes,
            "message_bytes": contents.message_bytes,
            "session": contents.session.as_ref().ok().map(|session| &session.0),
        }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    json!({ "header": header, "characters": found.characters, "contents": contents })
}

pub(crate) fn seal(args: &Seal, out: &mut Output) -> Result<(), Failure> {
    let codec = args.settings.codec(args.keys.required()?)?;
    let text = stdin("the session")?;
    let session: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::No("json", format!("the session is no JSON: {error}")))?;
    if let Some(number) = rounded_integer(&text) {
        return Err(Failure::No(
            "json",
            format!(
                "the number {number} has more than 64 bits, and would be rounded; write it as a string"
            ),
        ));
    }
    let set = codec.renew(&Any(session), &codec.request::<_, str>([]))?;
    let pairs: Vec<_> = set.values().map(|set| set.split(';').next().unwrap_or(set)).collect();
    if out.json {
        let values: Vec<_> = set.values().collect();
        return out.print_json(&json!({ "set_cookie": values, "cookie": pairs.join("; ") }));
    }
    if args.cookie {
        return out.line(pairs.join("; "));
    }
    for value in set.values() {
        out.line(value)?;
    }
    Ok(())
}

pub(crate) fn open(args: &Open, out: &mut Output) -> Result<(), Failure> {
    let codec = args.settings.codec(args.keys.required()?)?;
    let input = input(args.cookie.as_deref())?;
    let request = request(&codec, &input)?;
    // There is a cookie, so there is a session or an error.
    let beside = args.place.open()?;
    let mut opened = codec.decode(&request);
    if let Err(DecodeError::Blob(BlobError::NotFetched(id))) = opened {
        let told = "the session lies in the store; give --store, or SEALED_SESSION_REDIS_URL";
        let fetched = beside.fetch(id).ok_or_else(|| Failure::Usage(told.to_owned()))?;
        opened = codec.decode_with(&request, fetched);
    }
    let Some(opened) = opened.map_err(|error| args.settings.refused(&error))? else {
        return Ok(());
    };
    let Opened { session: Any(mut session), began, sealed, expires, key, id, .. } = opened;
    beside.show(&codec, &mut session)?;
    warn_of_rounding(&session, out);
    if !out.json {
        return out.line(printable_json(&format!("{session:#}")));
    }
    out.print_json(&json!({
        "session": session,
        "began": rfc3339(began),
        "sealed": rfc3339(sealed),
        "expires": rfc3339(expires),
        "key": key.to_string(),
        "id": id.map(|id| id.to_string()),
    }))
}

pub(crate) fn capacity(args: &Capacity, out: &mut Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for profile in [Profile::Nginx, Profile::Nginx8k, Profile::Nginx16k] {
        let key = Key::generate().map_err(|error| Failure::Io(error.to_string()))?;
        let mut builder =
            Codec::<Any>::builder(key).name(&args.name).path(&args.path).limits(profile.limits());
        if let Some(domain) = &args.domain {
            builder = builder.domain(domain);
        }
        if args.session_ids {
            builder = builder.session_ids();
        }
        let codec = builder.build().map_err(misused)?;
        let packed = codec.capacity();
        let Some(cost) = codec.cost(packed) else {
            return Err(Failure::Usage("the limits leave no room for a session".to_owned()));
        };
        values.push(json!({
            "limits": profile.name(),
            "cookies": cost.cookies,
            "packed_bytes": packed,
            "response_bytes": cost.response_bytes,
            "request_bytes": cost.request_bytes,
        }));
        rows.push(vec![
            Cell::styled(profile.name(), BOLD),
            Cell::new(cost.cookies),
            Cell::styled(format_args!("{packed} bytes"), GREEN),
            Cell::new(format_args!("{} bytes", cost.response_bytes)),
            Cell::new(format_args!("{} bytes", cost.request_bytes)),
        ]);
    }
    if out.json {
        return out.print_json(&json!({ "name": args.name, "capacity": values }));
    }
    out.table(&["limits", "cookies", "session, packed", "response", "each request"], &rows)?;
    out.line(format_args!(
        "\n{DIM}A session is packed by compression and by storing tokens as bytes; `inspect` shows how well.{DIM:#}"
    ))
}

/// Returns the argument, or else the standard input.
fn input(argument: Option<&str>) -> Result<String, Failure> {
    argument.map_or_else(|| stdin("a cookie"), |text| Ok(text.to_owned()))
}

fn stdin(what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    piped(what)?.take(MAX_INPUT).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a Cookie header, a Set-Cookie header, or the bare value of the session's cookie.
fn request<'a>(codec: &'a Codec<Any>, input: &'a str) -> Result<RequestCookies<'a>, Failure> {
    let mut headers = Vec::new();
    for line in input.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let header = match line.split_once(':') {
            Some((name, rest)) if name.eq_ignore_ascii_case("cookie") => rest,
            Some((name, rest)) if name.eq_ignore_ascii_case("set-cookie") => rest,
            _ => line,
        };
        headers.push(header);
    }
    let request = match *headers {
        [value] if !value.contains('=') => {
            codec.request([&format!("{}={value}", codec.name())]).into_owned()
        }
        _ => codec.request(headers),
    };
    if codec.inspect_at(&request, SystemTime::UNIX_EPOCH).is_empty() {
        let told = format!("there is no cookie {}; --name gives its name", codec.name());
        return Err(Failure::No("absent", told));
    }
    Ok(request)
}

/// More than any server takes.
const MAX_INPUT: u64 = 1024 * 1024;
