//! `midwatch doctor`: what works here, and what to do about what does not.

use std::io::IsTerminal;
use std::path::Path;

use super::ask::{self, Ask, Asked};
use super::output::{Output, Tone};
use super::settings::Settings;
use super::{Context, Failure};
use crate::model::words::counted;

/// Say what works here: terminal, colour, clipboard, files, disk, servers, clocks
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch doctor\nIt changes nothing. It ends with 1 when something is broken, not when something could be better.")]
pub struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How a finding is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Fine,
    /// Works, but could be better.
    Note,
    Broken,
}

#[derive(Clone, PartialEq, Debug, serde::Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    words: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

fn fine(what: &'static str, words: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Fine, words: words.into(), hint: String::new() }
}

fn note(what: &'static str, words: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Note, words: words.into(), hint: hint.into() }
}

fn broken(what: &'static str, words: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Broken, words: words.into(), hint: hint.into() }
}

pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut findings = vec![fine("version", concat!("midwatch ", env!("CARGO_PKG_VERSION")))];
    findings.extend(terminal(&|name| std::env::var(name).ok().filter(|value| !value.is_empty())));
    findings.extend(files(context));
    findings.extend(servers(context));
    let mut out = Output::new();
    for finding in &findings {
        if args.json {
            out.json(finding)?;
            continue;
        }
        let (word, tone) = match finding.verdict {
            Verdict::Fine => ("ok  ", Tone::Fine),
            Verdict::Note => ("note", Tone::Strong),
            Verdict::Broken => ("BAD ", Tone::Severity(crate::model::severity::Severity::Critical)),
        };
        out.toned(&[(tone, word), (Tone::Plain, &format!("  {:<12} {}", finding.what, finding.words))])?;
        if !finding.hint.is_empty() {
            out.toned(&[(Tone::Muted, &format!("      {:<12} {}", "", finding.hint))])?;
        }
    }
    out.finish()?;
    match findings.iter().filter(|finding| finding.verdict == Verdict::Broken).count() {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing is broken", "")),
        many => Err(Failure::failed(format!("{many} things are broken"), "")),
    }
}

/// What the terminal is and can, as far as its environment says: it is not asked, since what it
/// answers could be taken for typing.
fn terminal(variable: &dyn Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mut out = Vec::new();
    let term = variable("TERM");
    if !std::io::stdout().is_terminal() {
        out.push(note("terminal", "the output is no terminal", "Run it where the console is to run"));
    } else {
        match rustix::termios::tcgetwinsize(std::io::stdout()) {
            Ok(size) if size.ws_col >= 80 && size.ws_row >= 24 => out.push(fine("size", format!("{} columns, {} rows", size.ws_col, size.ws_row))),
            Ok(size) => {
                let words = format!("{} columns, {} rows", size.ws_col, size.ws_row);
                out.push(note("size", words, "80x24 or more is comfortable; it works from 40x10"));
            }
            Err(error) => out.push(broken("size", format!("the terminal does not say its size: {error}"), "stty rows 24 cols 80")),
        }
    }
    match term.as_deref() {
        None => out.push(note("TERM", "not set", "The console needs a terminal; set TERM to what it is")),
        Some("dumb") => out.push(note("TERM", "dumb", "The console needs a terminal that can move its cursor; the commands (midwatch now) work")),
        Some(term) => out.push(fine("TERM", term)),
    }
    let colours = match (variable("NO_COLOR"), variable("COLORTERM").as_deref(), term.as_deref()) {
        (Some(_), _, _) => fine("colour", "none: NO_COLOR is set"),
        (None, Some("truecolor" | "24bit"), _) => fine("colour", "16 million (COLORTERM)"),
        (None, _, Some(term)) if term.contains("256color") || term.contains("direct") => {
            note("colour", "256", "If the terminal can do more, set COLORTERM=truecolor (and over ssh: SendEnv COLORTERM)")
        }
        (None, _, _) => note("colour", "16", "If the terminal can do more, set COLORTERM=truecolor"),
    };
    out.push(colours);
    let locale = variable("LC_ALL").or_else(|| variable("LC_CTYPE")).or_else(|| variable("LANG"));
    out.push(match locale {
        Some(locale) if locale.to_lowercase().replace('-', "").contains("utf8") => fine("locale", locale),
        Some(locale) => note("locale", format!("{locale} is not UTF-8"), "Set LANG=C.UTF-8, or characters may come out wrong"),
        None => note("locale", "not set", "Set LANG=C.UTF-8, or characters may come out wrong"),
    });
    let inside = match (variable("TMUX"), variable("STY")) {
        (Some(_), _) => Some("tmux"),
        (None, Some(_)) => Some("screen"),
        (None, None) => None,
    };
    match inside {
        Some("tmux") => out.push(fine("inside", "tmux; copying (OSC 52) needs `set -g set-clipboard on`")),
        Some(other) => out.push(fine("inside", other)),
        None => {}
    }
    let remote = variable("SSH_CONNECTION").is_some();
    let clipboard = match (remote, variable("VTE_VERSION")) {
        (_, Some(_)) => note("clipboard", "this terminal (VTE) does not take OSC 52", "Copy with the mouse, or with shift held"),
        (true, None) => fine("clipboard", "by OSC 52, through ssh, if the terminal there allows it"),
        (false, None) => fine("clipboard", "by OSC 52, if the terminal allows it"),
    };
    out.push(clipboard);
    out
}

fn files(context: &Context) -> Vec<Finding> {
    let mut out = Vec::new();
    let path = context.console_config();
    match Settings::load(&path, context.global.config.is_some()) {
        Ok(settings) if settings.servers.is_empty() => out.push(fine("config", "no server is configured: the embedded one watches this machine")),
        Ok(settings) => out.push(fine("config", format!("{}: {}", path.display(), counted(settings.servers.len(), "server")))),
        Err(failure) => out.push(broken("config", failure.cause, failure.hint)),
    }
    out.extend(disk(&context.places.data));
    out
}

/// Whether each server that would be asked answers, and how its clock stands to ours.
fn servers(context: &Context) -> Vec<Finding> {
    let asked = ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let offline = ask.is_offline();
        Ok(ask.asked.into_iter().map(|asked| server(&asked, offline)).collect())
    });
    // What is wrong with the configuration was said where it was read.
    asked.unwrap_or_default()
}

fn server(asked: &Asked, offline: bool) -> Finding {
    let name = &asked.config.name;
    match (&asked.failed, asked.ahead()) {
        (Some(why), _) if asked.embedded => note("server", format!("{name}: {why}"), ""),
        (Some(why), _) => broken("server", format!("{name} cannot be reached: {why}"), "Does it run? Is the address in console.toml right, and the tunnel up?"),
        (None, _) if offline => note("server", format!("{name} (embedded) does not run now"), "The console starts it"),
        (None, Some(ahead)) if ahead.abs() > 2 => {
            let words = format!("{name} answers; its clock is {} s {} this one", ahead.unsigned_abs(), if ahead > 0 { "ahead of" } else { "behind" });
            note("server", words, "Ages may look wrong; let both machines keep time by NTP")
        }
        (None, _) => fine("server", format!("{name} answers, its clock agrees")),
    }
}

/// Whether the folder, or the nearest one above it that exists, can be written to; how much room there
/// is; and on what file system.
fn disk(folder: &Path) -> Vec<Finding> {
    let mut out = Vec::new();
    let Some(there) = folder.ancestors().find(|path| path.exists()) else {
        return vec![broken("data", format!("{} is nowhere", folder.display()), "Set XDG_DATA_HOME")];
    };
    match rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) => out.push(fine("data", folder.display().to_string())),
        Err(error) => out.push(broken("data", format!("cannot write to {}: {error}", there.display()), "Change its owner or mode, or set XDG_DATA_HOME")),
    }
    if let Ok(room) = rustix::fs::statvfs(there) {
        let mebibytes = room.f_bavail.saturating_mul(room.f_frsize) / (1024 * 1024);
        let words = format!("{mebibytes} MiB free");
        out.push(if mebibytes < 200 { note("disk", words, "An event takes some 500 bytes; make room before it is full") } else { fine("disk", words) });
    }
    if let Ok(kind) = rustix::fs::statfs(there).map(|found| filesystem(found.f_type)) {
        match kind {
            (name, true) => out.push(broken(
                "filesystem",
                format!("{name} is a network file system: a log is not safe on it"),
                "Set XDG_DATA_HOME to a folder on a local disk",
            )),
            (name, false) => out.push(fine("filesystem", name)),
        }
    }
    out
}

/// Its name, and whether it lies on a network (statfs(2)).
fn filesystem(magic: i64) -> (String, bool) {
    let (name, network) = match magic {
        0xEF53 => ("ext", false),
        0x9123_683E => ("btrfs", false),
        0x5846_5342 => ("xfs", false),
        0x2FC1_2FC1 => ("zfs", false),
        0xF2F5_2010 => ("f2fs", false),
        0x794C_7630 => ("overlay", false),
        0x0102_1994 => ("tmpfs", false),
        0x6969 => ("nfs", true),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => ("smb", true),
        0x0102_1997 => ("9p", true),
        0x00C3_6400 => ("ceph", true),
        0x6573_5546 => ("fuse", false),
        other => return (format!("{other:#x}"), false),
    };
    (name.to_owned(), network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)], what: &str) -> Finding {
        let lookup = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        terminal(&lookup).into_iter().find(|finding| finding.what == what).unwrap()
    }

    #[test]
    fn the_environment_says_what_the_terminal_can() {
        assert_eq!(of(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], "colour").verdict, Verdict::Fine);
        assert_eq!(of(&[("TERM", "xterm-256color")], "colour").words, "256");
        assert_eq!(of(&[("TERM", "linux"), ("NO_COLOR", "1")], "colour").words, "none: NO_COLOR is set");
        assert_eq!(of(&[("TERM", "dumb")], "TERM").verdict, Verdict::Note);
        assert_eq!(of(&[("LANG", "de_DE.UTF-8")], "locale").verdict, Verdict::Fine);
        assert_eq!(of(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], "locale").verdict, Verdict::Note);
    }

    #[test]
    fn a_network_file_system_is_called_broken() {
        assert!(filesystem(0x6969).1);
        assert!(!filesystem(0xEF53).1);
    }

    #[test]
    fn a_folder_that_does_not_exist_yet_is_judged_by_the_one_above_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(disk(&folder.path().join("a/b")).iter().all(|finding| finding.verdict != Verdict::Broken), "{:?}", disk(folder.path()));
    }
}
