//! The sink: where a serialized session is collected.

use std::cell::Cell;
use std::io;

use crate::bytes::secret_bytes::SecretBytes;
use crate::message::MAX_BODY;
use crate::message::recorder::SpanRecorder;

/// A buffer that collects the output.
pub(crate) struct Sink<'t> {
    bytes: SecretBytes,
    recorder: &'t SpanRecorder,
}

impl<'t> Sink<'t> {
    pub(crate) fn new(recorder: &'t SpanRecorder) -> Self {
        Self { bytes: SecretBytes::new(Vec::with_capacity(USUAL.get())), recorder }
    }

    pub(crate) fn into_bytes(self) -> SecretBytes {
        let len = self.bytes.len();
        USUAL.set((len + len / 8).clamp(LEAST, MAX_BODY));
        self.bytes
    }
}

impl io::Write for Sink<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.append(bytes);
        self.recorder.set_written(self.bytes.len());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// What this thread's next session will take, by its last one: so that a buffer seldom grows, and none is
    /// wiped for longer than it was used.
    static USUAL: Cell<usize> = const { Cell::new(LEAST) };
}

const LEAST: usize = 256;
