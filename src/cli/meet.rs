//! First contact in a command: a server that is not known shows its key, and a person says whether that is the right
//! one, as ssh asks it, before anything is told the server. The console asks by itself, and meanwhile shows the others.
//! Where nobody can be asked, the server is not spoken to.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use super::{Failure, output};
use crate::client::unmet::Unmet;
use crate::client::{ServerConfig, meet};
use crate::console::overlay::meet::{Answer, COMPARE, Meeting, OTHER};
use crate::console::screen::text::wrap;

/// How long a server that is not known may take to show its key. Who is silent is met another time.
const PATIENCE: Duration = Duration::from_secs(4);

/// Columns of what is asked.
const WIDEST: u16 = 100;

/// Asks about every server that is met for the first time.
pub fn all(configs: &[ServerConfig]) -> Result<(), Failure> {
    let is_new = |config: &&ServerConfig| {
        let proving = config.proving.as_deref().filter(|proving| proving.known.asks());
        // What is wrong with the file is said when it is used.
        proving.is_some_and(|proving| matches!(proving.known.find(&proving.server), Ok(None)))
    };
    let new: Vec<&ServerConfig> = configs.iter().filter(is_new).collect();
    if new.is_empty() || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(());
    }
    let shown = shown(&new)?;
    for (config, unmet) in new.into_iter().zip(shown) {
        let Some(unmet) = unmet else { continue };
        if ask(&meeting(config, &unmet))? {
            unmet.pin().map_err(|error| Failure::failed(error, ""))?;
            output::tell(&format!("The key of {} is remembered in {}.", unmet.name(), unmet.file()));
        } else {
            output::tell(&format!("{} is not spoken to.", unmet.name()));
        }
    }
    Ok(())
}

/// The keys that they prove, all asked at the same time. Whoever calls may run within a runtime of their own.
fn shown(new: &[&ServerConfig]) -> Result<Vec<Option<Unmet>>, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot start: {error}"), "Are there too many open files or processes?");
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        Ok(runtime.block_on(futures_util::future::join_all(new.iter().map(|config| meet(config, PATIENCE)))))
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|_| Err(Failure::failed("the servers could not be met", ""))))
}

fn meeting(config: &ServerConfig, unmet: &Unmet) -> Meeting {
    let address = config.address.to_string().into();
    Meeting { name: unmet.name().clone(), address, fingerprint: unmet.fingerprint(), words: unmet.words(), file: unmet.file() }
}

/// Broken between words, for a terminal of this width.
fn tell(words: &str) {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| size.ws_col);
    wrap(words, columns.clamp(20, WIDEST), usize::MAX, "").iter().for_each(|line| output::tell(line));
}

fn ask(meeting: &Meeting) -> Result<bool, Failure> {
    tell(&format!("{} It shows this key:", meeting.sentence()));
    output::tell(&format!("  {}", meeting.fingerprint));
    for words in meeting.words.chunks(4) {
        output::tell(&format!("  {}", words.join(" ")));
    }
    tell(COMPARE);
    output::tell("Is it this one (yes, no, or the fingerprint)?");
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let line = match lines.next() {
            Some(Ok(line)) => line,
            Some(Err(error)) => return Err(Failure::failed(format!("what you say cannot be read: {error}"), "")),
            None => return Ok(false),
        };
        match meeting.answer(&line) {
            Some(Answer::Yes) => return Ok(true),
            Some(Answer::No) => return Ok(false),
            Some(Answer::Other) => {
                tell(OTHER);
                return Ok(false);
            }
            None => output::tell("Please type yes, no, or the fingerprint (SHA256:…):"),
        }
    }
}
