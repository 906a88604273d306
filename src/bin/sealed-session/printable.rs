//! Text as it may be shown: nothing of it moves the cursor, hides what stands beside it, or changes the order of signs.
//!
//! What a session or a key file holds may come from anybody. JSON escapes the oldest control characters and no others.

use std::fmt::Write as _;

/// Returns a text with each character that a terminal could obey as an escape; lines stay.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |c, out| _ = write!(out, "\\u{{{:x}}}", u32::from(c)))
}

/// Returns the text of a JSON value with such characters as escapes. It is the same value: they stand in strings alone.
pub(crate) fn printable_json(text: &str) -> String {
    escaped(text, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_obeyed(c) { escape(c, &mut out) } else { out.push(c) }
    }
    out
}

/// Returns whether a character is a control, invisible, or turns the direction of what follows.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
