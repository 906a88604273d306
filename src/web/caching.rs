//! What caches must be told about a response that has a session in it.

/// Returns the `Cache-Control` to put in place of these, or `None` if they forbid to store already.
///
/// Of other directives only `no-transform` says anything that `no-store` does not.
pub(super) fn cache_control<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<&'static str> {
    let (mut no_store, mut no_transform, mut unclosed) = (false, false, false);
    for value in values {
        no_store |= list_has(value, "no-store");
        no_transform |= list_has(value, "no-transform");
        // A quoted string that goes on in the next header swallows what stands there.
        unclosed |= !ends_outside_quotes(value);
    }
    match (no_store && !unclosed, no_transform) {
        (true, _) => None,
        (false, true) => Some("no-store, no-transform"),
        (false, false) => Some("no-store"),
    }
}

/// Returns whether a header of this name, in lower case, overrules `Cache-Control` for a shared cache.
///
/// By convention such fields end alike (RFC 9213, 2.2). Older ones do not: Edge-Architecture's, Akamai's, nginx's.
pub(super) fn overrules_cache_control(name: &str) -> bool {
    name.ends_with("-cache-control")
        || matches!(name, "surrogate-control" | "edge-control" | "x-accel-expires")
}

/// Returns whether `Vary` names cookies already.
pub(super) fn varies<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> bool {
    values.any(|value| list_has(value, "cookie") || list_has(value, "*"))
}

/// Returns whether caches may store a response of this status though nothing in it says so (RFC 9110, 15.1).
#[cfg(feature = "actix-web")]
pub(super) fn is_stored_unasked(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Returns whether a comma-separated list has a member of this name, with an argument or without.
fn list_has(list: &[u8], name: &str) -> bool {
    members(list).any(|member| {
        let end = member.iter().position(|c| *c == b'=').unwrap_or(member.len());
        let (found, _) = member.split_at(end);
        found.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
    })
}

fn ends_outside_quotes(list: &[u8]) -> bool {
    let mut last = (false, false);
    for c in list {
        last = quoting(last, *c);
    }
    last == (false, false)
}

/// Returns whether what follows a character is quoted, and is escaped there; from the same before it.
fn quoting((quoted, escaped): (bool, bool), c: u8) -> (bool, bool) {
    match c {
        _ if escaped => (quoted, false),
        b'\\' if quoted => (quoted, true),
        b'"' => (!quoted, false),
        _ => (quoted, false),
    }
}

/// Splits a list at its commas, but for those in a quoted string (RFC 9110, 5.6.1 and 5.6.4).
fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut last = (false, false);
    list.split(move |c| {
        last = quoting(last, *c);
        *c == b',' && last == (false, false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_control_that_forbids_to_store_stays() {
        for (found, wanted) in [
            (&[][..], Some("no-store")),
            (&["no-store"][..], None),
            (&["private, No-Store"], None),
            (&["private", "max-age=0 , no-store"], None),
            (&["public, max-age=3600"], Some("no-store")),
            (&["private"], Some("no-store")),
            (&["no-cache"], Some("no-store")),
            (&["not-no-store, no-storex"], Some("no-store")),
            (&["private=\"a, no-store, b\""], Some("no-store")),
            (&["private=\"a\\\", no-store, b\""], Some("no-store")),
            (&["private=\"a, no-store"], Some("no-store")),
            (&["private=\"a, b\", no-store"], None),
            (&["private=\"a", "no-store"], Some("no-store")),
            (&["private=\"a", "b\", no-store"], Some("no-store")),
            (&["no-store, private=\"a"], Some("no-store")),
            (&["NO-STORE"], None),
            (&["\tno-store\t,max-age=1"], None),
            (&["no-store;x=1"], Some("no-store")),
            (&["no store"], Some("no-store")),
            (&["\"no-store\""], Some("no-store")),
            (&["\\no-store"], Some("no-store")),
            (&["x-no-store"], Some("no-store")),
            (&[",,no-store,,"], None),
            (&[""], Some("no-store")),
            (&["no-store=\"x\""], None),
            (&["private=\"a\\\\\", no-store"], None),
            (&["public", "no-transform"], Some("no-store, no-transform")),
            (&["no-transform, private=\"a"], Some("no-store, no-transform")),
            (&["private=\"a", "no-transform, no-store"], Some("no-store, no-transform")),
            (&["private=\"a, no-transform\""], Some("no-store")),
        ] {
            assert_eq!(cache_control(found.iter().map(|v| v.as_bytes())), wanted, "{found:?}");
        }
    }

    #[test]
    fn vary_is_added_once() {
        for (found, wanted) in [
            (&[][..], false),
            (&["Accept-Encoding"][..], false),
            (&["accept-encoding, COOKIE"], true),
            (&["accept", "cookie"], true),
            (&["*"], true),
            (&["cookie2, x-cookie"], false),
        ] {
            assert_eq!(varies(found.iter().map(|v| v.as_bytes())), wanted, "{found:?}");
        }
    }

    #[test]
    fn headers_for_shared_caches_are_known_by_their_names() {
        for (name, wanted) in [
            ("cdn-cache-control", true),
            ("vendor-cdn-cache-control", true),
            ("surrogate-control", true),
            ("cloudflare-cdn-cache-control", true),
            ("akamai-cache-control", true),
            ("x-litespeed-cache-control", true),
            ("netlify-cdn-cache-control", true),
            ("vercel-cdn-cache-control", true),
            ("x-accel-redirect", false),
            ("edge-control", true),
            ("x-accel-expires", true),
            ("x-accel-buffering", false),
            ("cache-control", false),
            ("expires", false),
        ] {
            assert_eq!(overrules_cache_control(name), wanted, "{name}");
        }
    }
}
