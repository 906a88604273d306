//! Keeps what the middlewares log on the thread at hand.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use tracing::Level;

pub(crate) struct Log;

impl Log {
    /// Forgets what this thread logged before.
    pub(crate) fn start() -> Self {
        // One subscriber for all threads: those that come and go miss lines of each other's.
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(Level::TRACE)
                .with_ansi(false)
                .without_time()
                .with_writer(|| Lines)
                .finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        Self.take();
        Self
    }

    /// Gives the warnings and errors of the middlewares since the last call, each with its level.
    pub(crate) fn take(&self) -> Vec<String> {
        let text = String::from_utf8(LINES.take()).unwrap();
        let ours = text.lines().filter_map(|line| line.split_once("sealed_session::web: "));
        let ours = ours.map(|(level, line)| format!("{} {line}", level.trim()));
        ours.filter(|line| line.starts_with("WARN") || line.starts_with("ERROR")).collect()
    }

    /// Lets each line of this thread be written through `subscriber`, as one that asks the application who is there.
    pub(crate) fn through(&self, subscriber: impl Fn() + 'static) {
        drop(SUBSCRIBER.replace(Some(Box::new(subscriber))));
    }
}

thread_local! {
    static SUBSCRIBER: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        // What it logs by itself, it is not asked about.
        if let Some(subscriber) = SUBSCRIBER.take() {
            subscriber();
            drop(SUBSCRIBER.replace(Some(subscriber)));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
