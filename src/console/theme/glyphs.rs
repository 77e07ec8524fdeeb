//! The signs that midwatch draws beside text, and what stands for them where only ASCII can be shown.

use crate::model::severity::{Severity, Status};

/// One set of signs. All are one cell wide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glyphs {
    pub is_ascii: bool,
    pub critical: &'static str,
    pub error: &'static str,
    pub warning: &'static str,
    pub unknown: &'static str,
    pub info: &'static str,
    pub debug: &'static str,
    pub fine: &'static str,
    /// A server that answers, and one that is late or gone.
    pub live: &'static str,
    pub late: &'static str,
    pub gone: &'static str,
    pub folded: &'static str,
    pub unfolded: &'static str,
    /// The gutter of the selected row.
    pub selected: &'static str,
    pub marked: &'static str,
    /// The gutter of a row that one has not seen.
    pub new: &'static str,
    /// Points at a suspect.
    pub pointer: &'static str,
    pub arrow: &'static str,
    /// Stands before a time that is not now.
    pub clock: &'static str,
    pub good: &'static str,
    pub bad: &'static str,
    pub bookmark: &'static str,
    /// Something changed there.
    pub change: &'static str,
    pub pending: &'static str,
    pub link: &'static str,
    pub ellipsis: &'static str,
    pub dot: &'static str,
    /// `─`
    pub rule: &'static str,
    pub vertical: &'static str,
    /// Top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
    /// Children of a tree: one with siblings below, the last one, and the line past a parent.
    pub branch: &'static str,
    pub last_branch: &'static str,
    pub trunk: &'static str,
    /// A strip's cells, from nothing to most.
    pub bars: [&'static str; 9],
}

impl Glyphs {
    pub const UNICODE: Glyphs = Glyphs {
        is_ascii: false,
        critical: "▲",
        error: "◆",
        warning: "●",
        unknown: "?",
        info: "·",
        debug: "·",
        fine: "✓",
        live: "●",
        late: "◌",
        gone: "○",
        folded: "▸",
        unfolded: "▾",
        selected: "▌",
        marked: "✱",
        new: "+",
        pointer: "◀",
        arrow: "→",
        clock: "⏱",
        good: "✓",
        bad: "✗",
        bookmark: "◈",
        change: "▴",
        pending: "…",
        link: "↗",
        ellipsis: "…",
        dot: "·",
        rule: "─",
        vertical: "│",
        corners: ["┌", "┐", "└", "┘"],
        branch: "├",
        last_branch: "└",
        trunk: "│",
        bars: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    };

    pub const ASCII: Glyphs = Glyphs {
        is_ascii: true,
        critical: "!",
        error: "x",
        warning: "*",
        unknown: "?",
        info: ".",
        debug: ".",
        fine: "+",
        live: "*",
        late: "~",
        gone: "o",
        folded: ">",
        unfolded: "v",
        selected: ">",
        marked: "#",
        new: "+",
        pointer: "<",
        arrow: ">",
        clock: "@",
        good: "+",
        bad: "x",
        bookmark: "=",
        change: "^",
        pending: "~",
        link: "^",
        ellipsis: "~",
        dot: "-",
        rule: "-",
        vertical: "|",
        corners: ["+", "+", "+", "+"],
        branch: "|",
        last_branch: "`",
        trunk: "|",
        bars: [" ", ".", ".", ":", ":", "|", "|", "#", "#"],
    };

    pub const fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Critical => self.critical,
            Severity::Error => self.error,
            Severity::Warning => self.warning,
            Severity::Unknown => self.unknown,
            Severity::Info => self.info,
            Severity::Debug => self.debug,
        }
    }

    /// A server that is not well itself, bad or worse: also without colour another sign than a server's
    /// freshness has, in both sets.
    pub const fn unwell(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Critical | Severity::Error => "!!",
            Severity::Warning | Severity::Unknown | Severity::Info | Severity::Debug => "!",
        }
    }

    pub const fn status(&self, status: Status) -> &'static str {
        match status {
            Status::Ok => self.fine,
            Status::Unknown => self.unknown,
            Status::Warning => self.warning,
            Status::Critical => self.critical,
        }
    }

    /// The bar for `value` of at most `most`; anything above nothing shows.
    pub fn bar(&self, value: u64, most: u64) -> &'static str {
        let level = match (value, most) {
            (0, _) => 0,
            (_, 0) => 8,
            (value, most) => u128::from(value.min(most)).saturating_mul(8).div_ceil(u128::from(most)),
        };
        usize::try_from(level).ok().and_then(|level| self.bars.get(level)).copied().unwrap_or(" ")
    }

    /// Whether the locale can show more than ASCII (`LC_ALL`, `LC_CTYPE`, `LANG`, the first that is set).
    pub fn locale_is_utf8(var: impl Fn(&str) -> Option<String>) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| var(name)).find(|value| !value.is_empty());
        // Nothing set is common in containers and over SSH, on terminals that all show UTF-8.
        locale.is_none_or(|value| {
            let value = value.to_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
    }
}
