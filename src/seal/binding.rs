//! The binding: what ties a sealed value to its cookie and to the application's context.

use sha2::{Digest, Sha256};

use crate::seal::HEADER;

/// What binds a sealed value to the cookie and to the application's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding([u8; 32]);

impl Binding {
    pub(crate) fn new(name: &str, context: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [b"sealed-session/1", name.as_bytes(), context] {
            let len = u64::try_from(part.len()).expect("a length fits 64 bits");
            hash.update(len.to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    #[cfg(feature = "store")]
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn associated_data(self, header: [u8; HEADER]) -> [u8; HEADER + 32] {
        let mut data = [0; HEADER + 32];
        let (front, back) = data.split_at_mut(HEADER);
        front.copy_from_slice(&header);
        back.copy_from_slice(&self.0);
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_tells_its_parts_apart() {
        let all = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ("ab", "c\0")];
        let bindings = all.map(|(name, context)| Binding::new(name, context.as_bytes()).0);
        for (i, binding) in bindings.iter().enumerate() {
            assert_eq!(bindings.iter().position(|other| other == binding), Some(i));
        }
    }
}
