//! Names: whether two serialized sessions have the same ones, so that whoever writes the one over the other drops nothing
//! but values.

/// Returns whether two MessagePack bodies have maps in the same places, with the same keys in the same order.
///
/// Where the first has a map or a list, the second has one too, and the list is as long at least. What is not
/// well-formed has no names.
pub(crate) fn same_names(old: &[u8], new: &[u8]) -> bool {
    let mut pair = Pair { old: Reader(old), new: Reader(new) };
    pair.values(MAX_DEPTH).is_some() && pair.old.0.is_empty() && pair.new.0.is_empty()
}

/// Deeper bodies are told apart by reading them.
const MAX_DEPTH: usize = 64;

struct Pair<'a> {
    old: Reader<'a>,
    new: Reader<'a>,
}

impl Pair<'_> {
    /// Reads one value of each.
    fn values(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match (self.old.token()?, self.new.token()?) {
            (Token::Scalar, Token::Scalar) => {}
            // Nothing had a name there.
            (Token::Scalar, Token::List(len)) => self.new.skip(u64::from(len))?,
            (Token::Scalar, Token::Map(len)) => self.new.skip(2 * u64::from(len))?,
            (Token::List(old), Token::List(new)) if old <= new => {
                for _ in 0..old {
                    self.values(depth)?;
                }
                self.new.skip(u64::from(new - old))?;
            }
            (Token::Map(old), Token::Map(new)) if old == new => {
                for _ in 0..old {
                    if self.old.scalar()? != self.new.scalar()? {
                        return None;
                    }
                    self.values(depth)?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// What a value begins with.
enum Token {
    /// A value that is read already.
    Scalar,
    /// A list of so many values.
    List(u32),
    /// A map of so many entries.
    Map(u32),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    fn token(&mut self) -> Option<Token> {
        let (head, rest) = self.0.split_first()?;
        self.0 = rest;
        let len = match head {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => return Some(Token::Scalar),
            0x80..=0x8f => return Some(Token::Map(u32::from(head & 0x0f))),
            0x90..=0x9f => return Some(Token::List(u32::from(head & 0x0f))),
            0xa0..=0xbf => u32::from(head & 0x1f),
            0xc4 | 0xd9 => self.number::<1>()?,
            0xc5 | 0xda => self.number::<2>()?,
            0xc6 | 0xdb => self.number::<4>()?,
            0xc7 => self.number::<1>()?.checked_add(1)?,
            0xc8 => self.number::<2>()?.checked_add(1)?,
            0xc9 => self.number::<4>()?.checked_add(1)?,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 => 2,
            0xca | 0xce | 0xd2 => 4,
            0xcb | 0xcf | 0xd3 => 8,
            0xd4 => 2,
            0xd5 => 3,
            0xd6 => 5,
            0xd7 => 9,
            0xd8 => 17,
            0xdc => return Some(Token::List(self.number::<2>()?)),
            0xdd => return Some(Token::List(self.number::<4>()?)),
            0xde => return Some(Token::Map(self.number::<2>()?)),
            0xdf => return Some(Token::Map(self.number::<4>()?)),
            0xc1 => return None,
        };
        self.0 = self.0.get(usize::try_from(len).ok()?..)?;
        Some(Token::Scalar)
    }

    /// Reads a number of so many bytes, the most significant first.
    #[inline]
    fn number<const LEN: usize>(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<LEN>()?;
        self.0 = rest;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Reads a value that contains no other, and returns its bytes.
    #[inline]
    fn scalar(&mut self) -> Option<&'a [u8]> {
        let from = self.0;
        match self.token()? {
            Token::Scalar => from.get(..from.len() - self.0.len()),
            Token::List(_) | Token::Map(_) => None,
        }
    }

    /// Skips so many values, with all that is in them.
    fn skip(&mut self, mut values: u64) -> Option<()> {
        // Each value has a byte at least, so this ends with the bytes.
        while let Some(left) = values.checked_sub(1) {
            values = match self.token()? {
                Token::Scalar => left,
                Token::List(len) => left.checked_add(u64::from(len))?,
                Token::Map(len) => left.checked_add(2 * u64::from(len))?,
            };
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(value: &Value) -> Vec<u8> {
        rmp_serde::to_vec_named(value).unwrap()
    }

    #[test]
    fn values_may_differ_and_names_may_not() {
        for (same, old, new) in [
            (true, json!({ "a": 1, "b": "x" }), json!({ "a": 70_000, "b": "y".repeat(300) })),
            (true, json!({ "a": null }), json!({ "a": { "b": [1, { "c": 2 }] } })),
            (true, json!({ "a": [{ "b": 1 }] }), json!({ "a": [{ "b": 1 }, { "c": [2] }] })),
            (
                true,
                json!({ "a": 0.5, "b": -1, "c": true }),
                json!({ "a": 2.5, "b": -300, "c": false }),
            ),
            (true, json!(1), json!("a")),
            // What the new one lacks may be what only the other release knows.
            (false, json!({ "a": 1, "b": 2 }), json!({ "a": 1 })),
            (false, json!({ "a": 1 }), json!({ "a": 1, "b": 2 })),
            (false, json!({ "a": 1 }), json!({ "b": 1 })),
            (false, json!({ "a": { "b": 1 } }), json!({ "a": null })),
            (false, json!({ "a": [1, 2] }), json!({ "a": [1] })),
            (false, json!({ "a": [{ "b": 1 }] }), json!({ "a": [{ "c": 1 }] })),
            (false, json!({ "a": [1] }), json!({ "a": { "b": 1 } })),
        ] {
            assert_eq!(same_names(&body(&old), &body(&new)), same, "{old} {new}");
        }
    }

    #[test]
    fn each_kind_of_value_is_passed_over() {
        let long = "x".repeat(70_000);
        let middle = "x".repeat(300);
        let mut values =
            vec![json!(null), json!(true), json!(""), json!("a"), json!(middle), json!(long)];
        for shift in 0_u8..64 {
            values.extend([
                json!(1_u64 << shift),
                json!(-1_i64 << shift),
                json!(0.1 * f64::from(shift)),
            ]);
        }
        values.push(json!((0..20).collect::<Vec<_>>()));
        values.push(json!((0..70_000).collect::<Vec<_>>()));
        let all = json!({ "values": values, "last": 1 });
        assert!(same_names(&body(&all), &body(&all)));
        let other = json!({ "values": values, "least": 1 });
        assert!(!same_names(&body(&all), &body(&other)));
        for ext in [
            vec![0xd4, 1, 0],
            [&[0xd8, 1][..], &[0; 16]].concat(),
            [&[0xc7, 3, 1][..], &[0; 3]].concat(),
            [&[0xc8, 0, 3, 1][..], &[0; 3]].concat(),
            [&[0xc9, 0, 0, 0, 3, 1][..], &[0; 3]].concat(),
            [&[0xc4, 3][..], &[0; 3]].concat(),
        ] {
            assert!(same_names(&ext, &ext), "{ext:x?}");
            assert!(!same_names(&ext[..ext.len() - 1], &ext), "{ext:x?}");
        }
    }

    #[test]
    fn what_is_malformed_has_no_names() {
        for bad in [
            &[][..],
            &[0xc1],
            &[0x91],
            &[0xdd, 0xff, 0xff, 0xff, 0xff, 0],
            &[0xc0, 0xc0],
            &[0xc9, 255, 255, 255, 255],
        ] {
            assert!(!same_names(bad, bad), "{bad:x?}");
        }
        let deep = [&[0x91; 100][..], &[0xc0]].concat();
        assert!(!same_names(&deep, &deep));
    }
}
