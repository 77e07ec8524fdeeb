//! `midwatch doctor`: what works here, and what to do about what does not.

mod finding;
mod multiplexer;
mod probe;
mod terminal;

use std::io::IsTerminal;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::ask::{self, Ask, Asked};
use super::output::{Output, Tone};
use super::settings::Settings;
use super::{Context, Failure};
use crate::client::Address;
use crate::console::screen::link;
use crate::model::words::counted;
use finding::{Finding, Verdict, better, broken, fine};

/// Say what works here: terminal, colour, clipboard, files, disk, servers, clocks
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch doctor\nIt changes nothing; the terminal is asked what it can, and has a second to answer.\nIt ends with 1 when something is broken, with 3 when that is a server that cannot be reached, and with 0 when things could only be better."
)]
pub struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut findings = vec![fine("version", concat!("midwatch ", env!("CARGO_PKG_VERSION")))];
    let asks = std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && variable("TERM").is_some_and(|term| term != "dumb");
    let answers = asks.then(probe::ask).flatten();
    findings.extend(terminal::findings(&variable, answers.as_ref()));
    findings.push(links(context, &variable, answers.as_ref()));
    findings.extend(multiplexer::findings(&variable));
    findings.extend(files(context));
    findings.extend(servers(context));
    let mut out = Output::new();
    for finding in &findings {
        if args.json {
            out.json(finding)?;
            continue;
        }
        let tone = match finding.verdict {
            Verdict::Ok => Tone::Fine,
            Verdict::CouldBeBetter => Tone::Strong,
            Verdict::Broken => Tone::Severity(crate::model::severity::Severity::Critical),
        };
        out.toned(&[(tone, &format!("{:<15}", finding.verdict.words())), (Tone::Plain, &format!("  {:<13} {}", finding.what, finding.words))])?;
        if !finding.hint.is_empty() {
            out.toned(&[(Tone::Muted, &format!("{:<31}{}", "", finding.hint))])?;
        }
    }
    out.finish()?;
    let bad = || findings.iter().filter(|finding| finding.verdict == Verdict::Broken);
    match bad().count() {
        0 => Ok(()),
        many if bad().all(|finding| finding.unreachable) => {
            Err(Failure::unreachable(if many == 1 { "one server cannot be reached".to_owned() } else { format!("{many} servers cannot be reached") }, ""))
        }
        1 => Err(Failure::failed("one thing is broken", "")),
        many => Err(Failure::failed(format!("{many} things are broken"), "")),
    }
}

/// Whether the names of runbooks and dashboards can be clicked.
fn links(context: &Context, variable: &dyn Fn(&str) -> Option<String>, answers: Option<&probe::Answers>) -> Finding {
    // What is wrong with the configuration is said where it is read.
    let chosen = context.settings().ok().and_then(|settings| settings.links);
    let named = answers.and_then(|answers| answers.name.as_deref()).and_then(link::by_name);
    match (chosen, named.or_else(|| link::by_environment(variable))) {
        (Some(true), _) => fine("links", "can be clicked, if the terminal makes links of OSC 8 (links = true)"),
        (Some(false), _) => fine("links", "cannot be clicked: links = false; o, r and d open them"),
        (None, Some(known)) if known.links => fine("links", format!("can be clicked where there are colours ({})", known.why)),
        (None, Some(known)) => fine("links", format!("cannot be clicked here: {}; o, r and d open them", known.why)),
        (None, None) => better(
            "links",
            "cannot be clicked: it is not known whether this terminal makes links of OSC 8; o, r and d open them",
            "If it does, set links = true in console.toml",
        ),
    }
}

fn files(context: &Context) -> Vec<Finding> {
    let mut out = Vec::new();
    let path = context.console_config();
    match Settings::load(&path, context.global.config.is_some()) {
        Ok(settings) if settings.servers.is_empty() => out.push(fine("config", "no server is configured: the embedded one watches this machine")),
        Ok(settings) => out.push(fine("config", format!("{}: {}", path.display(), counted(settings.servers.len(), "server")))),
        Err(failure) => out.push(broken("config", failure.cause, failure.hint)),
    }
    // When the configuration is broken, that was said.
    if let Ok((name, file)) = super::keys::chosen(context) {
        out.push(match super::keys::load(context) {
            Ok(_) => fine("keymap", file.map_or(name.clone(), |file| format!("{name}, with {} over it", file.display()))),
            Err(failure) => broken("keymap", failure.cause, failure.hint),
        });
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
        (Some(why), _) if asked.embedded => better("server", format!("{name}: {why}"), ""),
        (Some(why), _) => {
            let hint = "Does it run? Is the address in console.toml right, and the tunnel up?";
            Finding { unreachable: true, ..broken("server", format!("{name} cannot be reached: {why}"), hint) }
        }
        (None, _) if offline => better("server", format!("{name} (embedded) does not run now"), "The console starts it"),
        (None, ahead) => {
            let trip = round_trip(&asked.config.address).map_or_else(String::new, |trip| format!(" in {}", milliseconds(trip)));
            let ahead = ahead.unwrap_or(0);
            let words = format!("{name} answers{trip}; {}", clock(ahead));
            if ahead.abs() > 2_000_000 { better("server", words, "Ages may look wrong; let both machines keep time by NTP") } else { fine("server", words) }
        }
    }
}

/// What an answer takes, by what a connection takes: one round trip.
fn round_trip(address: &Address) -> Option<Duration> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let began;
    match address {
        Address::Tcp(address) | Address::Tls(address) => {
            let address = address.to_socket_addrs().ok()?.next()?;
            began = Instant::now();
            TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        }
        Address::Unix(path) => {
            began = Instant::now();
            UnixStream::connect(path).ok()?;
        }
    }
    Some(began.elapsed())
}

fn milliseconds(time: Duration) -> String {
    if time < Duration::from_millis(1) { "less than 1 ms".to_owned() } else { format!("{} ms", time.as_millis()) }
}

/// How a clock stands to ours, `ahead` in microseconds. What a tenth of a second hides, the line may have cost.
fn clock(ahead: i64) -> String {
    let tenths = ahead / 100_000;
    match tenths {
        0 => "its clock agrees".to_owned(),
        _ => format!("its clock is {}.{} s {} this one", tenths.abs() / 10, tenths.abs() % 10, if tenths > 0 { "ahead of" } else { "behind" }),
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
        out.push(if mebibytes < 200 { better("disk", words, "An event takes some 500 bytes; make room before it is full") } else { fine("disk", words) });
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

    #[test]
    fn clocks_are_judged_beyond_what_the_line_may_cost() {
        assert_eq!(clock(0), "its clock agrees");
        assert_eq!(clock(400_000), "its clock is 0.4 s ahead of this one");
        assert_eq!(clock(-7_200_000_000), "its clock is 7200.0 s behind this one");
    }
}
