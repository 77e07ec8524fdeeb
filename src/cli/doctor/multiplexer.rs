//! What stands between us and the terminal: tmux is asked for its settings, screen cannot be.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::finding::{Finding, better, fine};
use crate::model::clean::clean_line;

/// What tmux is asked for, in this order.
const ASKED: [&str; 6] = ["version", "set-clipboard", "allow-passthrough", "escape-time", "focus-events", "default-terminal"];
/// A tmux that hangs is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn findings(variable: &dyn Fn(&str) -> Option<String>) -> Vec<Finding> {
    match (variable("TMUX"), variable("STY")) {
        (Some(_), _) => match ask() {
            Some(answer) => tmux(&answer),
            None => vec![better(
                "tmux",
                "it does not say its settings",
                "Is `tmux` in PATH? Copying needs `set -g set-clipboard on`, notices `set -g allow-passthrough on`",
            )],
        },
        (None, Some(_)) => vec![
            fine("screen", "what is copied, and notices, go through it in pieces"),
            better("screen", "GNU screen before 5 has 256 colours, and its Escape waits", "In .screenrc: `maptimeout 10`, `defutf8 on`; or tmux"),
        ],
        (None, None) => Vec::new(),
    }
}

fn ask() -> Option<String> {
    let format: Vec<String> = ASKED.iter().map(|name| format!("#{{{name}}}")).collect();
    let mut child = Command::new("tmux")
        .args(["display-message", "-p", &format.join("|")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut text = String::new();
    child.stdout.take()?.take(4_096).read_to_string(&mut text).ok()?;
    status.success().then_some(text)
}

/// Reads the settings, and judges them.
fn tmux(answer: &str) -> Vec<Finding> {
    let parts: Vec<String> = answer.trim_end().split('|').map(|part| clean_line(part).chars().take(60).collect()).collect();
    let [version, clipboard, passthrough, escape, focus, terminal] = parts.as_slice() else {
        return vec![better("tmux", "its settings could not be read", "Copying needs `set -g set-clipboard on`, notices `set -g allow-passthrough on`")];
    };
    let passes = matches!(passthrough.as_str(), "on" | "all" | "1" | "2");
    let mut out = vec![fine("tmux", version.clone())];
    out.push(match clipboard.as_str() {
        "on" | "2" => fine("set-clipboard", "on: what is copied reaches tmux and the terminal"),
        other if passes => fine("set-clipboard", format!("{}; what is copied passes through", known(other))),
        other => better("set-clipboard", format!("{}: what is copied does not arrive", known(other)), "In .tmux.conf: `set -g set-clipboard on`"),
    });
    out.push(if passes {
        fine("passthrough", "on: notices reach the terminal")
    } else {
        let words = if passthrough.is_empty() {
            "not known to this tmux".to_owned()
        } else {
            format!("{passthrough}: notices end in tmux, the bell alone gets through")
        };
        better("passthrough", words, "In .tmux.conf: `set -g allow-passthrough on` (tmux 3.3 or newer)")
    });
    out.push(match escape.parse::<u64>() {
        Ok(ms @ 0..=50) => fine("escape-time", format!("{ms} ms")),
        Ok(ms) => better("escape-time", format!("{ms} ms: Esc comes late"), "In .tmux.conf: `set -sg escape-time 10`"),
        Err(_) => fine("escape-time", "not known"),
    });
    out.push(fine("focus-events", format!("{}; midwatch does not need them", known(focus))));
    out.push(match terminal.as_str() {
        terminal if terminal.starts_with("tmux") || terminal.contains("direct") => fine("default-term", terminal),
        "" => fine("default-term", "not known"),
        other => better(
            "default-term",
            format!("{other}: fewer colours and attributes than tmux has"),
            "In .tmux.conf: `set -g default-terminal tmux-256color` and `set -as terminal-features ',*:RGB'`",
        ),
    });
    out
}

fn known(setting: &str) -> &str {
    match setting {
        "" => "not known",
        "0" => "off",
        "1" => "on",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn verdicts(answer: &str) -> Vec<(&'static str, Verdict)> {
        tmux(answer).iter().map(|finding| (finding.what, finding.verdict)).collect()
    }

    #[test]
    fn tmux_settings_are_judged() {
        assert!(tmux("3.5a|on|on|10|on|tmux-256color\n").iter().all(|finding| finding.verdict == Verdict::Ok));
        let old = verdicts("3.2a|external||500|off|screen");
        let bad: Vec<&str> = old.iter().filter(|(_, verdict)| *verdict == Verdict::CouldBeBetter).map(|(what, _)| *what).collect();
        assert_eq!(bad, ["set-clipboard", "passthrough", "escape-time", "default-term"]);
        assert!(tmux("3.5|external|on|10|on|tmux").iter().all(|finding| finding.verdict == Verdict::Ok), "what passes through arrives");
        assert_eq!(verdicts("garbage"), [("tmux", Verdict::CouldBeBetter)]);
        assert!(tmux("\u{1b}[31m3|a|b|c|d|e").iter().all(|finding| !finding.words.contains('\u{1b}')));
    }
}
