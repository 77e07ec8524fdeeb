//! Logs: to standard error, as `MIDWATCH_LOG` asks (`info`, `midwatch::link=debug`), with every line
//! cleaned, so that nothing that is logged can forge another line or move the cursor (T9). While a
//! console has the terminal, into a file instead: the screen is the console's alone.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::model::clean::clean_line;

/// Warnings and worse unless the environment says otherwise.
pub fn start() {
    let filter = EnvFilter::try_from_env("MIDWATCH_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    // Only the first call in a process counts; a second one changes nothing.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Cleaned(|| Out)).try_init();
}

/// Where logs go while a console has the terminal.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// From now on into this file, until the answer is dropped. Where it cannot be opened, nowhere.
pub fn into_file(path: &Path) -> Diverted {
    let file = path.parent().and_then(|folder| std::fs::create_dir_all(folder).ok()).and_then(|()| File::options().create(true).append(true).open(path).ok());
    let nowhere = || File::options().write(true).open("/dev/null").ok();
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = file.or_else(nowhere);
    Diverted
}

/// While it lives, logs go into a file.
pub struct Diverted;

impl Drop for Diverted {
    fn drop(&mut self) {
        *FILE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *FILE.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => file.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
