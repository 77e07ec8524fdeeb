//! Taking the terminal, and giving it back as it was, whatever ends us.
//!
//! What is needed to give it back is kept beside the [`Terminal`], so that a panic can do it too; giving
//! it back twice does nothing. Raw mode is ours (no flow control: `C-s` and `C-q` are keys); the mouse
//! stays the terminal's unless somebody wishes otherwise. A signal is only news here: the runtime decides, then leaves in order.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal as Kill;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal as Source, SignalKind, signal};

use super::input::ANSWER_WAIT;
use crate::model::clean::{clean_line, clean_text};

/// The other screen, bracketed paste, no cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?2004h\x1b[?25l";
/// Ends an update that was cut short, margins, colours, then undoes [`ENTER`] from its end.
const LEAVE: &str = "\x1b[?2026l\x1b[r\x1b[m\x1b[?25h\x1b[?2004l\x1b[?1049l";

/// Presses and the wheel are told (1000), with places beyond column 223 (1006); with Shift held they stay the
/// terminal's.
const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";
const NO_MOUSE: &str = "\x1b[?1006l\x1b[?1000l";

/// The terminal while it is ours.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    tty: File,
    before: Termios,
    mouse: bool,
    /// The other screen was entered; else keys alone were taken.
    screen: bool,
}

fn taken() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why there is no terminal to use.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    #[error("midwatch needs a terminal, and there is none here; try `midwatch now`, or `midwatch --linear`")]
    None(#[source] io::Error),
    #[error("this terminal cannot be set up: {0}; try `midwatch --linear`")]
    Setup(#[source] io::Error),
    /// It is gone: nobody is there to be told.
    #[error("the terminal is gone")]
    Lost(#[source] io::Error),
}

/// The controlling terminal. Dropping it gives it back.
#[derive(Debug)]
pub struct Terminal {
    tty: File,
    /// Where it is written to, when that is not where it is read from: lines, of which no terminal is taken.
    plain: Option<File>,
    gate: Arc<Gate>,
    mouse: bool,
    /// Of lines, each key is taken as it comes.
    keys: bool,
}

/// Holds the reader back while somebody else reads the terminal (an editor).
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Terminal {
    /// Takes the terminal: raw mode, the other screen; the mouse, if that is wished.
    pub fn enter(mouse: bool) -> Result<Terminal, TerminalError> {
        if !io::stdout().is_terminal() {
            return Err(TerminalError::None(io::Error::from(io::ErrorKind::Unsupported)));
        }
        let tty = File::options().read(true).write(true).open("/dev/tty").map_err(TerminalError::None)?;
        let terminal = Terminal { tty, plain: None, gate: Arc::default(), mouse, keys: false };
        terminal.take()?;
        Ok(terminal)
    }

    /// Standard input and output. Of a terminal that shows what is typed the keys are taken, so that we know
    /// what that is; of anything else no mode is changed.
    pub fn lines() -> Result<Terminal, TerminalError> {
        use std::os::fd::AsFd;
        let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from).map_err(TerminalError::Setup);
        let (tty, plain) = (own(io::stdin().as_fd())?, own(io::stdout().as_fd())?);
        let shows = |tty: &File| tcgetattr(tty).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
        let keys = plain.is_terminal() && shows(&tty);
        let terminal = Terminal { tty, plain: Some(plain), gate: Arc::default(), mouse: false, keys };
        terminal.take()?;
        Ok(terminal)
    }

    /// Whether lines come key by key, for us to show.
    pub fn has_keys(&self) -> bool {
        self.keys
    }

    fn take(&self) -> Result<(), TerminalError> {
        if self.plain.is_some() && !self.keys {
            return Ok(());
        }
        let before = tcgetattr(&self.tty).map_err(|error| TerminalError::Setup(error.into()))?;
        let mut modes = before.clone();
        if self.keys {
            // Interrupt, stop and the like stay the terminal's.
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            modes.special_codes[SpecialCodeIndex::VMIN] = 1;
            modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        } else {
            modes.make_raw();
        }
        let tty = self.tty.try_clone().map_err(TerminalError::Setup)?;
        // Noted before anything changes, so that whatever interrupts this is undone as well.
        let mut slot = taken();
        if slot.is_none() {
            *slot = Some(Taken { tty, before, mouse: self.mouse, screen: !self.keys });
        }
        drop(slot);
        tcsetattr(&self.tty, OptionalActions::Now, &modes).map_err(|error| TerminalError::Setup(error.into()))?;
        if self.keys {
            return Ok(());
        }
        self.write(ENTER.as_bytes())?;
        if self.mouse { self.write(MOUSE.as_bytes()) } else { Ok(()) }
    }

    /// Takes it again after [`Terminal::leave`] or after we were stopped; the screen must be drawn anew.
    pub fn reenter(&self) -> Result<(), TerminalError> {
        // Whoever ran meanwhile may have changed the modes: ours are set again, theirs are not kept.
        let before = taken().take().map(|taken| taken.before);
        self.take()?;
        if let (Some(before), Some(taken)) = (before, taken().as_mut()) {
            taken.before = before;
        }
        self.open_gate();
        Ok(())
    }

    /// Gives it back for a while: for an editor, or before stopping. Nothing reads it until [`Terminal::reenter`].
    pub fn leave(&self) {
        *self.gate.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        restore();
    }

    fn open_gate(&self) {
        *self.gate.closed.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.gate.opened.notify_all();
    }

    /// Writes a frame, or one of the sequences of [`super::ask`], as a whole.
    pub fn write(&self, bytes: &[u8]) -> Result<(), TerminalError> {
        let mut to = self.plain.as_ref().unwrap_or(&self.tty);
        to.write_all(bytes).and_then(|()| to.flush()).map_err(TerminalError::Lost)
    }

    /// Columns and rows; 80 by 24 where the terminal does not know.
    pub fn size(&self) -> (u16, u16) {
        match tcgetwinsize(&self.tty) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            _ => (80, 24),
        }
    }

    /// Reads on a thread of its own, and hands on what comes until `take` says no, or the terminal is gone
    /// (an error, once).
    pub fn read(&self, mut take: impl FnMut(Result<Vec<u8>, io::Error>) -> bool + Send + 'static) -> Result<(), TerminalError> {
        let mut tty = self.tty.try_clone().map_err(TerminalError::Setup)?;
        let gate = Arc::clone(&self.gate);
        let run = move || {
            let mut bytes = vec![0u8; 4096];
            loop {
                // Waiting takes nothing from the terminal, so nothing is stolen from an editor.
                match poll(&mut [PollFd::new(&tty, PollFlags::IN)], None) {
                    Ok(_) => {}
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => {
                        take(Err(error.into()));
                        return;
                    }
                }
                let mut closed = gate.closed.lock().unwrap_or_else(PoisonError::into_inner);
                if *closed {
                    while *closed {
                        closed = gate.opened.wait(closed).unwrap_or_else(PoisonError::into_inner);
                    }
                    continue;
                }
                drop(closed);
                let read = match tty.read(&mut bytes) {
                    Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                    Ok(count) => Ok(bytes.get(..count).unwrap_or_default().to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let over = read.is_err();
                if !take(read) || over {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("terminal".into()).spawn(run).map(|_| ()).map_err(TerminalError::Setup)
    }

    /// Gives the terminal back for good. With `owes` (it has not sent its last answer yet), what still
    /// comes within [`ANSWER_WAIT`] is thrown away, so that it does not end up in the shell's prompt.
    pub fn end(self, owes: bool) {
        if owes {
            *self.gate.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
            let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(ANSWER_WAIT.subsec_nanos()) };
            let _ = poll(&mut [PollFd::new(&self.tty, PollFlags::IN)], Some(&wait));
        }
        drop(self);
    }

    /// Stops us and all that runs with us, as `C-z` does; returns when somebody continues us. The caller
    /// leaves before and enters again after. Says no where no shell could continue us.
    pub fn stop() -> bool {
        if !can_stop() {
            return false;
        }
        // The whole group, or a wrapper like `sudo` would keep the shell waiting.
        rustix::process::kill_current_process_group(Kill::STOP).is_ok()
    }
}

/// Whether a shell is there that could continue us: not when we lead the session ourselves.
pub fn can_stop() -> bool {
    rustix::process::getsid(None).is_ok_and(|leader| leader != rustix::process::getpid())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if we have it. Errors are not told: when this fails, nobody is there.
pub fn restore() -> bool {
    let Some(taken) = taken().take() else { return false };
    let mut tty = &taken.tty;
    if taken.mouse {
        let _ = tty.write_all(NO_MOUSE.as_bytes());
    }
    if taken.screen {
        let _ = tty.write_all(LEAVE.as_bytes());
        let _ = tty.flush();
        // What was typed for us, and late answers, are not for the shell.
        let _ = tcflush(tty, QueueSelector::IFlush);
    }
    let _ = tcsetattr(tty, OptionalActions::Now, &taken.before);
    true
}

/// From now on a panic gives the terminal back, writes a report into `folder`, says where it is, and ends
/// the process: a console half of which is gone must not go on.
pub fn report_panics(folder: &Path) {
    let folder = folder.to_owned();
    std::panic::set_hook(Box::new(move |info| {
        let was_ours = restore();
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), |at| format!("{}:{}", at.file(), at.line()));
        let what = info.payload().downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| info.payload().downcast_ref::<String>().cloned());
        let what = what.unwrap_or_else(|| "no words".to_owned());
        let report = format!(
            "midwatch {} broke at {place}: {what}\n\nthread {}\n\n{}\n",
            env!("CARGO_PKG_VERSION"),
            std::thread::current().name().unwrap_or("without a name"),
            std::backtrace::Backtrace::force_capture()
        );
        let path = folder.join(format!("panic-{}.txt", std::process::id()));
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, clean_text(&report).as_bytes()));
        let mut error = io::stderr().lock();
        let _ = writeln!(error, "midwatch broke at {}: {}", clean_line(&place), clean_line(&what));
        let _ = match written {
            Ok(()) => writeln!(error, "The report is in {}; please send it with what you did before.", clean_line(&path.to_string_lossy())),
            Err(why) => writeln!(error, "The report could not be written to {}: {why}", clean_line(&path.to_string_lossy())),
        };
        if was_ours {
            std::process::exit(101);
        }
    }));
}

/// What the system tells us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM, SIGINT: end in order.
    End,
    /// SIGHUP: the terminal is gone, or will be.
    Hangup,
    /// SIGTSTP from outside: stop in order.
    Stop,
    /// SIGCONT: whoever ran meanwhile may have changed the terminal.
    Continue,
    /// The terminal has another size.
    Resize,
}

/// All signals that a console hears.
#[derive(Debug)]
pub struct Signals {
    sources: [(Signal, Source); 6],
}

impl Signals {
    /// Must be called within the async runtime.
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals {
            sources: [
                (Signal::End, signal(SignalKind::terminate())?),
                (Signal::End, signal(SignalKind::interrupt())?),
                (Signal::Hangup, signal(SignalKind::hangup())?),
                (Signal::Stop, signal(SignalKind::from_raw(Kill::TSTP.as_raw()))?),
                (Signal::Continue, signal(SignalKind::from_raw(Kill::CONT.as_raw()))?),
                (Signal::Resize, signal(SignalKind::window_change())?),
            ],
        })
    }

    /// The next one. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (meaning, source) in &mut self.sources {
                if let Poll::Ready(Some(())) = source.poll_recv(context) {
                    return Poll::Ready(*meaning);
                }
            }
            Poll::Pending
        })
        .await
    }
}
