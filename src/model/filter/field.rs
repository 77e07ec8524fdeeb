//! The fields that a filter may ask for, and the states of an alert: declared once, used by the
//! parser, its errors and completion.

/// What stands before the colon.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Field {
    System,
    Severity,
    Kind,
    State,
    By,
    Check,
    Agent,
    Source,
    Server,
    Since,
    Until,
    Label,
}

impl Field {
    pub const ALL: [Field; 12] = [
        Field::System,
        Field::Severity,
        Field::Kind,
        Field::State,
        Field::By,
        Field::Check,
        Field::Agent,
        Field::Source,
        Field::Server,
        Field::Since,
        Field::Until,
        Field::Label,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Field::System => "system",
            Field::Severity => "severity",
            Field::Kind => "kind",
            Field::State => "state",
            Field::By => "by",
            Field::Check => "check",
            Field::Agent => "agent",
            Field::Source => "source",
            Field::Server => "server",
            Field::Since => "since",
            Field::Until => "until",
            Field::Label => "label",
        }
    }

    /// What starts a term of this field: `system:`, `label.`.
    pub const fn opening(self) -> &'static str {
        match self {
            Field::System => "system:",
            Field::Severity => "severity:",
            Field::Kind => "kind:",
            Field::State => "state:",
            Field::By => "by:",
            Field::Check => "check:",
            Field::Agent => "agent:",
            Field::Source => "source:",
            Field::Server => "server:",
            Field::Since => "since:",
            Field::Until => "until:",
            Field::Label => "label.",
        }
    }

    /// One sentence for help and completion.
    pub const fn about(self) -> &'static str {
        match self {
            Field::System => "the system's id; * within a segment, ** across: shop/**",
            Field::Severity => "how bad: warning, warning+ (and worse), warning- (and better)",
            Field::Kind => "the kind of event: alert.opened, alert.*",
            Field::State => "the state of an alert: open, acked, snoozed …",
            Field::By => "who caused it: kim, user:kim, agent:web-1",
            Field::Check => "the check or rule",
            Field::Agent => "the agent that says so",
            Field::Source => "the source of alerts, or the file",
            Field::Server => "the server that knows it",
            Field::Since => "not before: 3h, yesterday, 14:00, 2026-11-21",
            Field::Until => "before: 10m, 14:00, \"2026-11-21 03:00\"",
            Field::Label => "a label: label.env=prod, !=, =~, !~",
        }
    }

    /// What a value must look like, for errors.
    pub const fn expected(self) -> &'static str {
        match self {
            Field::System => "a system's id, like shop/varnish or shop/**",
            Field::Severity => "debug, info, unknown, warning, error or critical, with + or - behind it for a range",
            Field::Kind => "a kind of event, like alert.opened or alert.*",
            Field::State => "open, acked, snoozed, assigned, cleared, stale, flapping, silenced, unrefreshed or pending",
            Field::By => "a name, like kim or agent:web-1",
            Field::Check => "a check's name",
            Field::Agent => "an agent's name",
            Field::Source => "a source's name",
            Field::Server => "a server's name",
            Field::Since | Field::Until => "a duration back from now (3h), a time (14:00) or a date (2026-11-21)",
            Field::Label => "label.NAME=VALUE, or with !=, =~, !~",
        }
    }

    /// `actor` is another word for `by`.
    pub fn from_name(name: &str) -> Option<Field> {
        if name == "actor" {
            return Some(Field::By);
        }
        Field::ALL.into_iter().find(|field| *field != Field::Label && field.name() == name)
    }
}

/// What a filter may ask of an alert's condition. An alert may be in several at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    Open,
    Acked,
    Snoozed,
    Assigned,
    Cleared,
    Stale,
    Flapping,
    Silenced,
    Unrefreshed,
    /// Asked for here, not answered by the primary yet.
    Pending,
}

impl State {
    pub const ALL: [State; 10] = [
        State::Open,
        State::Acked,
        State::Snoozed,
        State::Assigned,
        State::Cleared,
        State::Stale,
        State::Flapping,
        State::Silenced,
        State::Unrefreshed,
        State::Pending,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Acked => "acked",
            State::Snoozed => "snoozed",
            State::Assigned => "assigned",
            State::Cleared => "cleared",
            State::Stale => "stale",
            State::Flapping => "flapping",
            State::Silenced => "silenced",
            State::Unrefreshed => "unrefreshed",
            State::Pending => "pending",
        }
    }

    /// Other software's words count too.
    pub fn from_word(word: &str) -> Option<State> {
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "firing" => Some(State::Open),
            "acknowledged" | "ack" => Some(State::Acked),
            "resolved" | "closed" => Some(State::Cleared),
            "unsent" => Some(State::Pending),
            word => State::ALL.into_iter().find(|state| state.word() == word),
        }
    }

    const fn bit(self) -> u16 {
        match self {
            State::Open => 1,
            State::Acked => 1 << 1,
            State::Snoozed => 1 << 2,
            State::Assigned => 1 << 3,
            State::Cleared => 1 << 4,
            State::Stale => 1 << 5,
            State::Flapping => 1 << 6,
            State::Silenced => 1 << 7,
            State::Unrefreshed => 1 << 8,
            State::Pending => 1 << 9,
        }
    }
}

/// A set of states.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct States(u16);

impl States {
    pub const NONE: States = States(0);

    #[must_use]
    pub const fn with(self, state: State) -> States {
        States(self.0 | state.bit())
    }

    /// As [`States::with`], when `present`.
    #[must_use]
    pub const fn with_if(self, state: State, present: bool) -> States {
        if present { self.with(state) } else { self }
    }

    pub const fn has(self, state: State) -> bool {
        self.0 & state.bit() != 0
    }
}
