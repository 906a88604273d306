//! Masks: a text without the words that may be secrets, for a parser that copies what it reads.
//!
//! No parser of TOML wipes its memory, and this one keeps the whole text in its errors. So it gets the text with a number
//! in the place of each long word. The words are put back where they are wanted, into buffers that are wiped.

use zeroize::Zeroizing;

/// A text in which long words are masked, and these words.
pub(crate) struct Masked<'t> {
    /// The text as masked: it has the same lines, and is no secret.
    pub(crate) text: String,
    words: Vec<&'t str>,
}

impl<'t> Masked<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let mut masked = String::with_capacity(text.len());
        let mut words = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (word, after) = rest.split_at(rest.find(is_between).unwrap_or(rest.len()));
            if word.len() > LONGEST_WORD || word.contains(MARKS) {
                masked.push(MARKS[0]);
                masked.push_str(&words.len().to_string());
                masked.push(MARKS[1]);
                words.push(word);
            } else {
                masked.push_str(word);
            }
            let (between, after) = after.split_at(escape_len(after));
            masked.push_str(between);
            rest = after;
        }
        Self { text: masked, words }
    }

    /// Returns a value of the masked text with its words put back.
    pub(crate) fn unmask(&self, value: &str) -> Zeroizing<String> {
        let len = self.parts(value).map(str::len).sum();
        // Sized once, so that no part of a secret stays behind in a smaller allocation.
        let mut out = Zeroizing::new(String::with_capacity(len));
        self.parts(value).for_each(|part| out.push_str(part));
        out
    }

    /// What is outside of marks stands for itself; what is between them is the number of a word.
    fn parts<'a>(&'a self, value: &'a str) -> impl Iterator<Item = &'a str> {
        value.split(MARKS).enumerate().map(|(i, part)| {
            if i % 2 == 0 {
                return part;
            }
            part.parse()
                .ok()
                .and_then(|number: usize| self.words.get(number))
                .map_or("", |word| word)
        })
    }
}

/// Returns a message about a masked text, with an ellipsis for each mask.
pub(crate) fn redact(message: &str) -> String {
    let parts = message.split(MARKS).enumerate();
    let shown: String = parts.map(|(i, part)| if i % 2 == 0 { part } else { "…" }).collect();
    // One line, whatever was quoted.
    shown.replace(|c: char| c.is_control(), " ").trim_end().to_owned()
}

fn is_between(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || c == '-' || c == '_' || MARKS.contains(&c))
}

/// Returns the length of the character that follows a word; of an escape, the whole of it, since a mask over a part of it
/// would make another one.
fn escape_len(text: &str) -> usize {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return 0 };
    if first != '\\' {
        return first.len_utf8();
    }
    let Some(second) = chars.next() else { return first.len_utf8() };
    let digits = match second {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    let digits = chars.take(digits).take_while(char::is_ascii_hexdigit).count();
    first.len_utf8() + second.len_utf8() + digits
}

/// Longer words are masked. So many characters of a key leave 160 of its 256 bits unknown.
const LONGEST_WORD: usize = 16;

/// Around the number of a word. For private use, and so never in a key.
const MARKS: [char; 2] = ['\u{e000}', '\u{e001}'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_masked_and_put_back() {
        let long = "abcdefghijklmnop-";
        for (text, masked) in [
            ("", ""),
            ("id = \"8a346e56\"", "id = \"8a346e56\""),
            ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            (long, "\u{e000}0\u{e001}"),
            (&long[1..], &long[1..]),
            (
                &format!("a = \"{long}\" # {long}\n"),
                "a = \"\u{e000}0\u{e001}\" # \u{e000}1\u{e001}\n",
            ),
            ("\u{e000}0\u{e001}", "\u{e000}0\u{e001}"),
            ("a\\nabcdefghijklmnop", "a\\nabcdefghijklmnop"),
            ("\\u00e9abcdefghijklmnopq", "\\u00e9\u{e000}0\u{e001}"),
            ("\\", "\\"),
            ("é\\é", "é\\é"),
        ] {
            let found = Masked::new(text);
            assert_eq!(found.text, masked);
            assert_eq!(*found.unmask(&found.text), text);
        }
    }

    #[test]
    fn a_number_that_stands_for_no_word_gives_nothing() {
        let masked = Masked::new("short");
        for value in ["\u{e000}7\u{e001}", "\u{e000}x\u{e001}", "\u{e000}", "\u{e001}0"] {
            assert_eq!(*masked.unmask(value), "");
        }
    }

    #[test]
    fn a_message_shows_no_mask_and_no_second_line() {
        assert_eq!(
            redact("found `\u{e000}0\u{e001}`,\nexpected `id`\n"),
            "found `…`, expected `id`"
        );
    }
}
