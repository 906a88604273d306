//! Revocations: what a key file takes back, as far as it can be read.
//!
//! A file in which something else is wrong is refused, and its revocations take effect all the same: who revokes a key
//! is in a hurry, and edits by hand.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::{Table, Value};

use crate::cutoff::Cutoff;
use crate::keys::file::{CUTOFF, REVOKED};
use crate::keys::key_id::KeyId;
use crate::keys::mask::Masked;

/// What a key file takes back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Revocations {
    pub(crate) ids: Vec<KeyId>,
    pub(crate) cutoff: Cutoff,
}

impl Revocations {
    /// Finds them in a text that may be no key file.
    pub(crate) fn find(text: &str) -> Self {
        let Masked { text, .. } = Masked::new(text);
        let mut found = Self::default();
        match text.parse::<Table>() {
            Ok(file) => {
                found.read_cutoff(&file);
                let keys = file.get("key").and_then(Value::as_array);
                for key in keys.into_iter().flatten().filter_map(Value::as_table) {
                    found.read_key(key);
                }
            }
            // Whatever is wrong with one line, the others say what they say.
            Err(_) => found.read_lines(&text),
        }
        found
    }

    fn read_lines(&mut self, text: &str) {
        let mut table: Option<Table> = None;
        for line in text.lines() {
            if line.trim_start().starts_with('[') {
                self.read_key(&table.replace(Table::new()).unwrap_or_default());
            } else if let Ok(line) = line.parse::<Table>() {
                match &mut table {
                    Some(table) => table.extend(line),
                    None => self.read_cutoff(&line),
                }
            }
        }
        self.read_key(&table.unwrap_or_default());
    }

    fn read_cutoff(&mut self, file: &Table) {
        if let Some(time) = file.get(CUTOFF).and_then(Value::as_datetime)
            && let Ok(time) = OffsetDateTime::parse(&time.to_string(), &Rfc3339)
        {
            self.cutoff = self.cutoff.max(Cutoff::before(time.into()));
        }
    }

    fn read_key(&mut self, key: &Table) {
        let text = |name| key.get(name).and_then(Value::as_str);
        if text("state") == Some(REVOKED)
            && let Some(id) = text("id")
            && let Ok(id) = id.parse()
        {
            self.ids.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocations_are_found_whatever_else_is_wrong() {
        let revoked =
            "[[key]]\nid = \"8a346e56\"\ncreated = 2026-11-01T00:00:00Z\nstate = \"revoked\"\n";
        let secret =
            "key = \"SEALED-SESSION-KEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_RBvJO\"\n";
        let both: &[&str] = &["8a346e56", "3b275260"];
        for (text, ids) in [
            (String::new(), &[][..]),
            (revoked.to_owned(), &both[..1]),
            (format!("{revoked}{secret}"), &both[..1]),
            (format!("{revoked}[[key]]\nid = 1\n"), &both[..1]),
            (format!("owner = \"us\"\n{revoked}"), &both[..1]),
            (format!("{revoked}created = twice\n"), &both[..1]),
            (
                format!(
                    "what is this\n{revoked}key = \"open\n{}",
                    revoked.replace(both[0], both[1])
                ),
                both,
            ),
            (format!("[[key]\n{revoked}"), &both[..1]),
            (revoked.replace("\"revoked\"", "\"revoke"), &[]),
            (revoked.replace("\"revoked\"", "\"open-only\""), &[]),
            (revoked.replace("8a346e56", "8a346e5"), &[]),
            (revoked.replace("id = ", "id "), &[]),
            (format!("[key]\n{}", &revoked[8..]), &[]),
        ] {
            let found: Vec<_> =
                Revocations::find(&text).ids.iter().map(ToString::to_string).collect();
            assert_eq!(found, ids, "{text}");
        }
    }

    #[test]
    fn a_cutoff_is_found_whatever_else_is_wrong() {
        let second = |text: &str| Revocations::find(text).cutoff.as_secs();
        let cutoff = "cutoff = 2026-11-01T00:00:00.5Z\n";
        assert_eq!(second(cutoff), 1_793_491_201);
        assert_eq!(second(&format!("{cutoff}[[key]]\nid = \n")), 1_793_491_201);
        assert_eq!(second(&format!("[[key]]\nid = \n{cutoff}")), 0, "that is of the key");
        assert_eq!(second("cutoff = 2026-11-01\n"), 0);
        assert_eq!(second("cutoff = \"now\"\n"), 0);
    }
}
