//! Compression of single values: LZ4 blocks and raw DEFLATE (RFC 1951), each value from a fresh start, or from the words
//! of a dictionary that never changes.

use std::cell::RefCell;

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};
use lz4_flex::block::CompressTable;

use crate::bytes::secret_bytes::SecretBytes;
use crate::message::error::MessageError;

/// The compression of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Lz4,
    Deflate,
}

/// What a value is compressed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dictionary {
    /// Nothing.
    None,
    /// The words of tokens.
    Claims,
    /// The words of addresses, and of the names that browsers give themselves.
    Words,
}

impl Dictionary {
    /// Returns the dictionary of version 1. Sealed sessions depend on every byte of it.
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::None => &[],
            Self::Claims => CLAIMS,
            Self::Words => WORDS,
        }
    }
}

/// A compressor of one value after another, each from a fresh start.
pub(crate) struct Compressor {
    method: Option<Method>,
    /// No value is longer.
    longest: usize,
    /// Of DEFLATE.
    level: u32,
    deflate: Option<Compress>,
    output: SecretBytes,
    written: usize,
}

impl Compressor {
    pub(crate) fn new(method: Option<Method>, longest: usize) -> Self {
        let output = SecretBytes::default();
        Self { method, longest, level: SMALLEST, deflate: None, output, written: 0 }
    }

    /// Creates one for DEFLATE of this level.
    pub(crate) fn deflate(level: u32, longest: usize) -> Self {
        Self { level, ..Self::new(Some(Method::Deflate), longest) }
    }

    /// Compresses `value` to `output`, and returns false where it does not pay.
    pub(crate) fn compress(&mut self, value: &[u8], dictionary: Dictionary) -> bool {
        let Some(method) = self.method else { return false };
        let least = match (method, dictionary) {
            (_, Dictionary::Words) => MIN_WORDS,
            (Method::Lz4, Dictionary::None) => MIN_LZ4,
            _ => MIN_COMPRESS,
        };
        if value.len() < least {
            return false;
        }
        // As long as for any value, so that it never grows and leaves nothing behind.
        if self.output.is_empty() {
            self.output.resize(lz4_flex::block::get_maximum_output_size(self.longest), 0);
        }
        let written = match (method, dictionary) {
            (Method::Lz4, Dictionary::None) => TABLE
                .try_with(|table| {
                    let table = &mut table.borrow_mut();
                    lz4_flex::block::compress_into_with_table(value, &mut self.output, table).ok()
                })
                .ok()
                .flatten(),
            (Method::Lz4, _) => {
                let words = match dictionary {
                    Dictionary::Claims if value.len() < SHORT => WORDS_OF_HEADERS,
                    _ => dictionary.bytes(),
                };
                lz4_flex::block::compress_into_with_dict(value, &mut self.output, words).ok()
            }
            (Method::Deflate, _) => self.deflate_value(value, dictionary),
        };
        self.written = written.unwrap_or(usize::MAX);
        self.written.saturating_add(SEGMENT_COST) <= value.len() - value.len() / 16
    }

    /// Returns how the output was compressed.
    pub(crate) fn method(&self) -> Method {
        self.method.unwrap_or(Method::Lz4)
    }

    pub(crate) fn output(&self) -> &[u8] {
        self.output.get(..self.written).unwrap_or_default()
    }

    fn deflate_value(&mut self, value: &[u8], dictionary: Dictionary) -> Option<usize> {
        // To reset it clears 128 KB, which a new one has just done.
        if let Some(used) = &mut self.deflate {
            used.reset();
        }
        let deflate =
            self.deflate.get_or_insert_with(|| Compress::new(Level::new(self.level), false));
        if dictionary != Dictionary::None {
            deflate.set_dictionary(dictionary.bytes()).ok()?;
        }
        match deflate.compress(value, &mut self.output, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => usize::try_from(deflate.total_out()).ok(),
            _ => None,
        }
    }
}

thread_local! {
    /// Is cleared before each use. It holds positions, and no byte of a session.
    static TABLE: RefCell<CompressTable> = RefCell::new(CompressTable::small());
}

/// Inflates one value after another, each from a fresh start.
#[derive(Default)]
pub(crate) struct Inflater {
    deflate: Option<Decompress>,
}

impl Inflater {
    /// Fills `target`, to the last byte and no further, or fails.
    pub(crate) fn inflate(
        &mut self,
        bytes: &[u8],
        method: Method,
        dictionary: Dictionary,
        target: &mut [u8],
    ) -> Result<(), MessageError> {
        let expanded = target.len();
        let written = match (method, dictionary) {
            (Method::Lz4, Dictionary::None) => lz4_flex::block::decompress_into(bytes, target).ok(),
            (Method::Lz4, _) => {
                lz4_flex::block::decompress_into_with_dict(bytes, target, dictionary.bytes()).ok()
            }
            (Method::Deflate, _) => self.inflate_deflate(bytes, dictionary, target),
        };
        if written == Some(expanded) { Ok(()) } else { Err(MessageError::Malformed) }
    }

    fn inflate_deflate(
        &mut self,
        bytes: &[u8],
        dictionary: Dictionary,
        target: &mut [u8],
    ) -> Option<usize> {
        let inflate = self.deflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        if dictionary != Dictionary::None {
            inflate.set_dictionary(dictionary.bytes()).ok()?;
        }
        match inflate.decompress(bytes, target, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) if usize::try_from(inflate.total_in()) == Ok(bytes.len()) => {
                usize::try_from(inflate.total_out()).ok()
            }
            _ => None,
        }
    }
}

/// Words of tokens: the registered names of JOSE (RFC 7515, RFC 7519) and OpenID Connect Core 5.1,
/// and what widespread issuers add.
const CLAIMS: &[u8] = include_bytes!("dictionary-1.txt");

/// The end of the dictionary, with the words that stand in the headers of tokens. LZ4 counts distances from
/// behind, so what is compressed with this part is inflated with the whole.
const WORDS_OF_HEADERS: &[u8] = CLAIMS.split_at(CLAIMS.len() - 320).1;

/// What widespread browsers send as `User-Agent`, how addresses begin that are kept in sessions (pictures of a user,
/// issuers, where to return to), and what their queries hold.
const WORDS: &[u8] = include_bytes!("words-1.txt");

/// Shorter claims are headers.
const SHORT: usize = 128;

/// Small values are never compressed. Measured: `benches/README.md`, as for all thresholds.
const MIN_COMPRESS: usize = 48;

/// LZ4 without a dictionary has to find repetitions within the value itself.
const MIN_LZ4: usize = 96;

/// Of an address, the dictionary has the beginning.
const MIN_WORDS: usize = 32;

/// The level of DEFLATE that is as small as any, as good as.
pub(crate) const SMALLEST: u32 = 6;

/// What a segment of its own costs at most, with the one that then follows.
pub(crate) const SEGMENT_COST: usize = 8;

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn what_saves_less_than_a_sixteenth_and_its_heads_stays_as_it_is() {
        // LZ4 gains what is repeated at the end, but for a handful of bytes.
        let noise: Vec<u8> = (0..25_u8).flat_map(|i| Sha256::digest([i])).collect();
        let saved = |repeated: usize| {
            let value = [&noise[..], &noise[..repeated]].concat();
            let mut compressor = Compressor::new(Some(Method::Lz4), value.len());
            let pays = compressor.compress(&value, Dictionary::None);
            pays.then(|| value.len() - compressor.written)
        };
        let least = (0..800).find_map(saved).unwrap();
        assert_eq!(least, 870 / 16 + SEGMENT_COST);
    }

    #[test]
    fn each_value_comes_back_from_each_dictionary() {
        let value = b"{\"alg\":\"RS256\"} https://www.example.com/ and so on and so on".repeat(3);
        for method in [Method::Lz4, Method::Deflate] {
            for dictionary in [Dictionary::None, Dictionary::Claims, Dictionary::Words] {
                let mut compressor = Compressor::new(Some(method), value.len());
                assert!(compressor.compress(&value, dictionary));
                let mut back = vec![0; value.len()];
                let mut inflater = Inflater::default();
                inflater.inflate(compressor.output(), method, dictionary, &mut back).unwrap();
                assert_eq!(back, value, "{method:?} {dictionary:?}");
                let mut short = vec![0; value.len() - 1];
                assert!(
                    inflater.inflate(compressor.output(), method, dictionary, &mut short).is_err()
                );
            }
        }
        assert!(!Compressor::new(None, value.len()).compress(&value, Dictionary::None));
    }

    #[test]
    fn the_dictionaries_are_those_of_version_1() {
        let hash = |bytes| {
            Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(
            [hash(CLAIMS), hash(WORDS)],
            [
                "cf2aa0289363ce49eb9fd7444776046d7131f96c892c5304d424bf1b0fc12386",
                "81753b7a9f7eed247b77bc4561d8daf45e353aa38dec436ad7e9f0a7ae686471",
            ]
        );
    }
}
