//! A subscriber for all of this process, which does whatever a test wants it to.

use std::io;
use std::sync::{Arc, Mutex, Once, PoisonError};

type Deed = Arc<dyn Fn() + Send + Sync>;

static DEEDS: Mutex<Vec<(String, Deed)>> = Mutex::new(Vec::new());

/// Does something in the thread that tells it, whenever a line of the log contains this text.
pub(crate) fn when_told(text: String, deed: impl Fn() + Send + Sync + 'static) {
    DEEDS.lock().unwrap_or_else(PoisonError::into_inner).push((text, Arc::new(deed)));
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Lines).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let told = String::from_utf8_lossy(line);
        let deeds = DEEDS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        deeds.iter().filter(|(text, _)| told.contains(text)).for_each(|(_, deed)| deed());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
