//! Logs: to standard error, as `MIDWATCH_LOG` asks (`info`, `midwatch::link=debug`), with every line
//! cleaned, so that nothing that is logged can forge another line or move the cursor (T9).

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::model::clean::clean_line;

/// Warnings and worse unless the environment says otherwise.
pub fn start() {
    let filter = EnvFilter::try_from_env("MIDWATCH_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    // Only the first call in a process counts; a second one changes nothing.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Cleaned(io::stderr)).try_init();
}

/// Makes writers that clean.
struct Cleaned<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Cleaned<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

/// One record: the subscriber writes each with a single call, its line feed at the end.
struct Line<W>(W);

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut line = clean_line(&text).into_owned();
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn t9_a_logged_value_cannot_forge_a_line_or_move_the_cursor() {
        let shared = Shared::default();
        let to = shared.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(Cleaned(move || to.clone())).finish();
        tracing::subscriber::with_default(subscriber, || {
            let title = "disk\n2026-11-21T00:00:00Z  INFO all is well\u{1b}[2A\r\u{9b}31m";
            tracing::warn!(title = %title, "took {title}");
        });
        let written = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 1, "{written:?}");
        assert!(written.trim_end_matches('\n').chars().all(|c| !c.is_control()), "{written:?}");
        assert!(written.contains("all is well"));
    }
}
