//! The page, for people as HTML and for the tour as lines of text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use sealed_session::Opened;

use crate::node::Session;

/// What the page shows.
pub(crate) struct View<'a> {
    pub(crate) node: &'a str,
    /// The bytes of each of our cookies in the request.
    pub(crate) cookies: Vec<usize>,
    pub(crate) primary: String,
    pub(crate) opened: Option<&'a Opened<Session>>,
    pub(crate) refused: Option<String>,
    pub(crate) reseal: Option<&'a str>,
    /// What went wrong, in words for the user.
    pub(crate) notice: Option<&'a str>,
}

/// Where the load balancer puts its own panel, and what it knows of the request.
pub(crate) const FLEET: &str = "<!-- fleet -->";
pub(crate) const ROUTE: &str = "<!-- route -->";

pub(crate) fn page(status: StatusCode, headers: &HeaderMap, view: &View<'_>) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        (status, Html(html(view))).into_response()
    } else {
        (status, text(view)).into_response()
    }
}

fn text(view: &View<'_>) -> String {
    let user = view.opened.map_or("nobody", |opened| &opened.session.user);
    let mut text = format!("node: {}\nuser: {user}\n", view.node);
    if let Some(opened) = view.opened {
        let _ = writeln!(text, "cart: {}\nkey: {}", opened.session.cart.len(), opened.key);
    }
    for (name, value) in
        [("resealed", view.reseal), ("refused", view.refused.as_deref()), ("notice", view.notice)]
    {
        if let Some(value) = value {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    text
}

fn html(view: &View<'_>) -> String {
    let main = match view.opened {
        Some(opened) => shop(&opened.session),
        None => login(),
    };
    // One and the same text for every reason why a cookie was refused: which it was is for the log.
    let notice = match (view.notice, &view.refused) {
        (Some(text), _) => {
            format!("<p class=notice>{} <a href=/>Back to the shop</a></p>", escape(text))
        }
        (None, Some(_)) => "<p class=notice>You are not logged in.</p>".to_owned(),
        (None, None) => String::new(),
    };
    fill(&format!("{notice}{main}"), &session(view))
}

/// Puts the two cards into the page. What they hold is not searched again, so that a user who is called like a
/// place to fill stays a name.
pub(crate) fn fill(main: &str, session: &str) -> String {
    let page = include_str!("page.html");
    let (head, rest) = page.split_once("{{main}}").unwrap_or((page, ""));
    let (middle, tail) = rest.split_once("{{session}}").unwrap_or((rest, ""));
    [head, main, middle, session, tail].concat()
}

fn login() -> String {
    "<h2>Log in</h2>
        <form method=post action=/login class=row>
        <input name=user aria-label='Your name' placeholder='Your name' required maxlength=40 value=Jane>
        <button class=primary>Log in</button></form>
        <p class=hint>The server keeps nothing of you: the session goes into your cookie, sealed.</p>"
        .to_owned()
}

fn shop(session: &Session) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for line in &session.cart {
        *counts.entry(&line.article).or_default() += 1;
    }
    let mut lines: String = counts
        .iter()
        .map(|(article, count)| format!("<li><span>{}</span><b>{count}</b></li>", escape(article)))
        .collect();
    if lines.is_empty() {
        lines = "<li class=hint>The cart is empty.</li>".to_owned();
    }
    let add = |article: &str, count: u8| {
        format!(
            "<form method=post action=/cart><input type=hidden name=article value='{article}'>
            <input type=hidden name=count value={count}><button>+{count} {article}</button></form>"
        )
    };
    format!(
        "<h2>Hello, {}</h2><ul class=cart>{lines}</ul><div class=buttons>{}{}{}
        <form method=post action=/cart/empty><button>Empty the cart</button></form>
        <form method=post action=/logout><button class=quiet>Log out</button></form></div>
        <p class=hint>Each article has a random reservation number, so that the cookie grows: some 150 need a
        second one.</p>",
        escape(&session.user),
        add("tea", 1),
        add("coffee", 10),
        add("chocolate", 20),
    )
}

fn session(view: &View<'_>) -> String {
    let mut rows = Vec::new();
    let total = view.cookies.iter().sum::<usize>();
    rows.push(("Page from", format!("node <b class='node {0}'>{0}</b>", view.node)));
    let cookies = match view.cookies.len() {
        0 => "none".to_owned(),
        1 => format!("1 cookie, {total} bytes"),
        n => format!("{n} cookies, {total} bytes"),
    };
    rows.push(("Cookies", cookies));
    if let Some(opened) = view.opened {
        let primary = opened.key.to_string() == view.primary;
        let state = if primary { "primary" } else { "older" };
        rows.push(("Sealed by key", format!("<code>{}</code> <small>{state}</small>", opened.key)));
        rows.push(("Began", ago(opened.began)));
        rows.push(("Sealed", ago(opened.sealed)));
        rows.push(("Expires", within(opened.expires)));
    }
    if let Some(reason) = view.reseal {
        rows.push(("Resealed now", reason.to_owned()));
    }
    let rows: String =
        rows.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>")).collect();
    let percent = |bytes: usize| (bytes * 100).div_ceil(MOST).min(100);
    format!(
        "<dl>{ROUTE}{rows}</dl><div class=bar role=img aria-label='{total} of {MOST} bytes'>
        <i style='width:{}%'></i><u style='left:{}%'></u></div>
        <p class=hint>{total} of {MOST} bytes. Beyond the mark, the session takes a second cookie.</p>",
        percent(total),
        percent(ONE_COOKIE),
    )
}

fn ago(time: SystemTime) -> String {
    format!(
        "{} ago",
        duration(SystemTime::now().duration_since(time).unwrap_or_default().as_secs())
    )
}

fn within(time: SystemTime) -> String {
    format!("in {}", duration(time.duration_since(SystemTime::now()).unwrap_or_default().as_secs()))
}

/// Rounds to what a person would say.
fn duration(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3570 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h", (seconds + 1800) / 3600),
    }
}

/// Users write their names and articles: nothing of that becomes HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The most that the profile of the node lets into a request.
const MOST: usize = 6144;

/// What the first cookie takes, without its attributes.
const ONE_COOKIE: usize = 3942;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_is_called_like_a_place_to_fill_stays_a_name() {
        for name in ["{{session}}", "{{main}}", FLEET, ROUTE, "<b>"] {
            let session = Session { user: name.to_owned(), cart: Vec::new() };
            let page = fill(&shop(&session), "THE STATUS");
            assert!(page.contains(&format!("<h2>Hello, {}</h2>", escape(name))));
            assert_eq!(page.matches("THE STATUS").count(), 1);
            assert_eq!(page.matches(FLEET).count(), 1);
        }
        assert!(!fill("", "").contains("{{"));
    }

    #[test]
    fn times_are_rounded() {
        let said = [0, 59, 60, 89, 90, 3569, 3570, 5399, 5400, 86_399].map(duration);
        assert_eq!(
            said.each_ref().map(String::as_str),
            ["0 s", "59 s", "1 min", "1 min", "2 min", "59 min", "1 h", "1 h", "2 h", "24 h"]
        );
    }
}
