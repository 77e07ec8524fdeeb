//! The registry itself: one line for each command.
//!
//! A line names the variant with the type of its argument, then name, category, scope, whether the palette
//! shows it, whether it changes the world, and its sentence. A line without one of these does not compile.

use std::fmt;

use super::Category::*;
use super::Effect::*;
use super::Palette::*;
use super::Scope::{Everywhere, Panes as On, Prompt as Typing};
use super::nearest::nearest;
use super::{Argument, CommandError, Entry, GroupBy, Pane, SortBy, TodaySpan, When, Words};

/// Panes whose rows are alerts.
const ALERTS: &[Pane] = &[Pane::Now, Pane::Alerts];
/// Panes whose rows belong to a system that can be written about.
const SUBJECTS: &[Pane] = &[Pane::Now, Pane::Timeline, Pane::Alerts, Pane::Systems];
/// Panes with rows that can be marked and filtered.
const LISTS: &[Pane] = &[Pane::Now, Pane::Timeline, Pane::Alerts, Pane::Systems, Pane::Servers];

/// Short names that hands know from elsewhere.
const ALIASES: &[(&str, &str)] = &[("q", "quit"), ("q!", "quit"), ("h", "help")];

macro_rules! commands {
    ($($variant:ident $(($type:ty))?, $name:literal, $category:expr, $scope:expr, $palette:expr, $effect:expr, $sentence:literal;)*) => {
        /// What a person can ask this console to do.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Command {
            $(#[doc = $sentence] $variant $(($type))?,)*
        }

        /// Every command, in the order of the help.
        pub const COMMANDS: &[Entry] = &[
            $(commands!(@entry $name, $category, $scope, $palette, $effect, $sentence, $($type)?),)*
        ];

        impl Command {
            /// How it is declared.
            pub const fn entry(&self) -> &'static Entry {
                match self {
                    $(Command::$variant { .. } => {
                        const ENTRY: Entry = commands!(@entry $name, $category, $scope, $palette, $effect, $sentence, $($type)?);
                        &ENTRY
                    })*
                }
            }

            fn build(name: &str, rest: &str) -> Option<Result<Command, CommandError>> {
                match name {
                    $($name => Some(commands!(@build $variant, $name, rest, $($type)?)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for Command {
            /// As it can be typed.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(commands!(@bound $variant, argument, $($type)?) => {
                        f.write_str($name)?;
                        commands!(@write f, argument, $($type)?)
                    })*
                }
            }
        }
    };
    (@entry $name:expr, $category:expr, $scope:expr, $palette:expr, $effect:expr, $sentence:expr, $($type:ty)?) => {
        Entry { name: $name, sentence: $sentence, category: $category, scope: $scope, palette: $palette, effect: $effect, argument: commands!(@expects $($type)?) }
    };
    (@expects) => { None };
    (@expects $type:ty) => { Some(<$type as Argument>::EXPECTS) };
    (@build $variant:ident, $name:expr, $rest:ident, ) => {
        if $rest.is_empty() { Ok(Command::$variant) } else { Err(CommandError::TakesNothing { command: $name, given: $rest.chars().take(60).collect() }) }
    };
    (@build $variant:ident, $name:expr, $rest:ident, $type:ty) => { read_argument::<$type>($name, $rest).map(Command::$variant) };
    (@bound $variant:ident, $argument:ident, ) => { Command::$variant };
    (@bound $variant:ident, $argument:ident, $type:ty) => { Command::$variant($argument) };
    (@write $f:ident, $argument:ident, ) => { Ok(()) };
    (@write $f:ident, $argument:ident, $type:ty) => {{
        let text = $argument.write();
        if text.is_empty() { Ok(()) } else { write!($f, " {text}") }
    }};
}

commands! {
    Down, "down", Move, Everywhere, Hidden, Looks, "Moves down a row.";
    Up, "up", Move, Everywhere, Hidden, Looks, "Moves up a row.";
    HalfPageDown, "half-page-down", Move, Everywhere, Hidden, Looks, "Moves down half a page.";
    HalfPageUp, "half-page-up", Move, Everywhere, Hidden, Looks, "Moves up half a page.";
    PageDown, "page-down", Move, Everywhere, Hidden, Looks, "Moves down a page.";
    PageUp, "page-up", Move, Everywhere, Hidden, Looks, "Moves up a page.";
    Top, "top", Move, Everywhere, Hidden, Looks, "Goes to the first row.";
    Bottom, "bottom", Move, Everywhere, Hidden, Looks, "Goes to the last row.";
    DetailDown, "detail-down", Move, Everywhere, Hidden, Looks, "Moves the detail down, while the list stays.";
    DetailUp, "detail-up", Move, Everywhere, Hidden, Looks, "Moves the detail up, while the list stays.";
    Fold, "fold", Move, On(LISTS), Hidden, Looks, "Folds this row, or goes to the row that holds it.";
    Unfold, "unfold", Move, On(LISTS), Hidden, Looks, "Unfolds this row.";
    UnfoldAll, "unfold-all", Move, On(LISTS), Shown, Looks, "Unfolds all rows, or folds all when none is folded.";
    Open, "open", Move, Everywhere, Hidden, Looks, "Opens what is selected.";
    Back, "back", Move, Everywhere, Hidden, Looks, "Backs out: closes what is on top, clears marks, then the filter.";
    Close, "close", Move, Everywhere, Hidden, Looks, "Closes what is on top; never quits.";
    RegionNext, "region-next", Move, Everywhere, Hidden, Looks, "Goes to the next part of this pane.";
    RegionPrevious, "region-previous", Move, Everywhere, Hidden, Looks, "Goes to the previous part of this pane.";

    PaneNow, "pane-now", Panes, Everywhere, Shown, Looks, "Shows what needs somebody now.";
    PaneToday, "pane-today", Panes, Everywhere, Shown, Looks, "Tells what happened today, in words.";
    PaneTimeline, "pane-timeline", Panes, Everywhere, Shown, Looks, "Shows every event of every server, by time.";
    PaneAlerts, "pane-alerts", Panes, Everywhere, Shown, Looks, "Shows every alert, in groups.";
    PaneSystems, "pane-systems", Panes, Everywhere, Shown, Looks, "Shows the systems as a tree.";
    PaneServers, "pane-servers", Panes, Everywhere, Shown, Looks, "Shows the servers, how fresh they are, and what was not sent yet.";
    PaneNext, "pane-next", Panes, Everywhere, Shown, Looks, "Shows the next pane.";
    PanePrevious, "pane-previous", Panes, Everywhere, Shown, Looks, "Shows the previous pane.";

    Filter(Option<Words>), "filter", Search, On(LISTS), Shown, Looks, "Shows only the rows that match.";
    FilterClear, "filter-clear", Search, On(LISTS), Shown, Looks, "Shows all rows again.";
    FilterContext(Option<Words>), "filter-context", Search, On(&[Pane::Timeline]), Shown, Looks, "Shows so many lines around each hit, or the next of 0, 1, 3 and 10.";
    NextHit, "next-hit", Search, On(LISTS), Hidden, Looks, "Goes to the next row that matches.";
    PreviousHit, "previous-hit", Search, On(LISTS), Hidden, Looks, "Goes to the previous row that matches.";
    NextError, "next-error", Search, On(LISTS), Hidden, Looks, "Goes to the next row that is an error or worse.";
    PreviousError, "previous-error", Search, On(LISTS), Hidden, Looks, "Goes to the previous row that is an error or worse.";
    Find(Option<Words>), "find", Search, Everywhere, Shown, Looks, "Finds anything: systems, alerts, events, people, runbooks, commands, servers, views; opens a copied link.";
    Palette(Option<Words>), "palette", Search, Everywhere, Hidden, Looks, "Runs any command by its name.";
    Views(Option<Words>), "views", Search, Everywhere, Shown, Looks, "Lists the saved views, and shows the one that you choose.";
    ViewSave(Words), "view-save", Search, Everywhere, Shown, Looks, "Saves pane, filter, grouping and order under a name.";
    ViewRename(Words), "view-rename", Search, Everywhere, Shown, Looks, "Gives a saved view another name: `old -> new`.";
    ViewRemove(Words), "view-remove", Search, Everywhere, Shown, Looks, "Removes a saved view.";
    ShowTimeline, "show-timeline", Search, On(SUBJECTS), Shown, Looks, "Shows the timeline of the selected system.";
    ShowSystem, "show-system", Search, On(SUBJECTS), Shown, Looks, "Shows the selected system in the tree.";
    WhoMaySee, "who-may-see", Search, On(SUBJECTS), Shown, Looks, "Says who may see the selected system, and why.";

    GoTo(Option<When>), "go-to", Time, Everywhere, Shown, Looks, "Goes to a time, like 3am, -2h or fri 14:00: every pane shows how things were then.";
    Live, "live", Time, Everywhere, Shown, Looks, "Comes back to the present, and follows it.";
    HourBack, "hour-back", Time, Everywhere, Hidden, Looks, "Goes back an hour, in every pane.";
    HourForward, "hour-forward", Time, Everywhere, Hidden, Looks, "Goes forward an hour, in every pane.";
    DayBack, "day-back", Time, Everywhere, Hidden, Looks, "Goes back a day, in every pane.";
    DayForward, "day-forward", Time, Everywhere, Hidden, Looks, "Goes forward a day, in every pane.";
    TodayEarlier, "today-earlier", Time, On(&[Pane::Today]), Hidden, Looks, "Tells of the day before this one; all other panes stay where they are.";
    TodayLater, "today-later", Time, On(&[Pane::Today]), Hidden, Looks, "Tells of the day after this one, up to where you are.";
    TodaySpan(Option<TodaySpan>), "today-span", Time, Everywhere, Shown, Looks, "Tells of a day, since you last looked, or since the shift began; the next of these when none is named.";
    SeenAll, "seen-all", Time, Everywhere, Shown, Looks, "Says that you have seen all of this: what comes from now on is new, at your other consoles too.";
    BookmarkSet(Option<Words>), "bookmark-set", Time, On(&[Pane::Timeline]), Shown, Looks, "Bookmarks this event, with a name if you like; without one, a second time takes it away.";
    BookmarkGo(Option<Words>), "bookmark-go", Time, On(&[Pane::Timeline]), Shown, Looks, "Goes to the bookmark of this name, or to one of all.";
    BookmarkNext, "bookmark-next", Time, On(&[Pane::Timeline]), Hidden, Looks, "Goes to the next bookmark.";

    Mark, "mark", Mark, On(LISTS), Hidden, Looks, "Marks this row, or takes the mark away.";
    MarkRange, "mark-range", Mark, On(LISTS), Hidden, Looks, "Starts marking a range, or ends it here.";
    MarkAll, "mark-all", Mark, On(LISTS), Shown, Looks, "Marks all rows that match.";
    MarkNone, "mark-none", Mark, On(LISTS), Shown, Looks, "Takes all marks away.";

    AlertAcknowledge(Option<Words>), "alert-acknowledge", Act, On(ALERTS), Shown, Changes, "Says that you have it, with a note if you like; ends when the alert clears.";
    AlertUnacknowledge, "alert-unacknowledge", Act, On(ALERTS), Shown, Changes, "Takes back that somebody has it.";
    AlertTake, "alert-take", Act, On(ALERTS), Shown, Changes, "Takes a whole cause with its effects: you are awake and have it.";
    AlertAssign(Option<Words>), "alert-assign", Act, On(ALERTS), Shown, Changes, "Gives it to somebody, or to nobody with `-`.";
    AlertSnooze(Option<When>), "alert-snooze", Act, On(ALERTS), Shown, Changes, "Hides it until a time, like 2h or 8am.";
    AlertUnsnooze, "alert-unsnooze", Act, On(ALERTS), Shown, Changes, "Ends its snooze.";
    AlertResolve(Option<Words>), "alert-resolve", Act, On(ALERTS), Shown, Changes, "Says that it is over, with a note if you like.";
    CauseDeny, "cause-deny", Act, On(ALERTS), Shown, Changes, "Not so: says that this does not come from the alert that it stands under.";
    CauseRestore, "cause-restore", Act, On(ALERTS), Shown, Changes, "Takes the last \"not so\" back: this may stand under that alert again.";
    NoteAdd(Option<Words>), "note-add", Act, On(SUBJECTS), Shown, Changes, "Adds a note to what is selected.";
    NoteWithdraw, "note-withdraw", Act, On(SUBJECTS), Shown, Changes, "Takes back the selected note, when it is yours.";
    GrantRevoke(Option<Words>), "grant-revoke", Act, On(&[Pane::Servers]), Shown, Changes, "Ends a grant of this server, or takes an invite back, after a question: by its holder's name or its id.";
    Undo, "undo", Act, Everywhere, Shown, Changes, "Takes back the last thing that you did, while that is possible.";

    GroupBy(Option<GroupBy>), "group-by", Show, On(&[Pane::Now, Pane::Alerts]), Shown, Looks, "Gathers rows by cause, system, check or server; the next of these when none is named.";
    SortBy(Option<SortBy>), "sort-by", Show, On(LISTS), Shown, Looks, "Sorts rows by urgency, age, system, check or history; the next of these when none is named.";
    Zoom, "zoom", Show, Everywhere, Shown, Looks, "Gives this part of the pane all the room, or takes it back.";
    SplitToggle, "split-toggle", Show, On(LISTS), Shown, Looks, "Puts list and detail side by side, or one above the other.";
    UsualToggle, "usual-toggle", Show, On(ALERTS), Shown, Looks, "Shows what is usual and folded, or folds it again.";
    RunsToggle, "runs-toggle", Show, On(&[Pane::Timeline]), Shown, Looks, "Shows events that repeat as one line, or each by itself; `unfold` opens one run.";
    TimeColumns, "time-columns", Show, On(&[Pane::Timeline]), Shown, Looks, "Puts UTC, and then each server's own time, beside the time here.";
    ClockCorrect(Option<Words>), "clock-correct", Show, On(&[Pane::Timeline, Pane::Servers]), Shown, Looks, "Corrects this server's clock on the timeline by what it is off, or by so much (-2m, off); again takes it back.";
    Theme(Option<Words>), "theme", Show, Everywhere, Shown, Looks, "Changes the colours.";

    CopyLine, "copy-line", Copy, On(LISTS), Shown, Looks, "Copies this row as text.";
    CopyLink, "copy-link", Copy, On(LISTS), Shown, Looks, "Copies a link to this that another person's console opens.";
    CopyJson, "copy-json", Copy, On(LISTS), Shown, Looks, "Copies this as JSON.";
    CopySummary, "copy-summary", Copy, On(LISTS), Shown, Looks, "Copies a short summary in Markdown.";
    OpenLink, "open-link", Copy, On(LISTS), Shown, Looks, "Opens the link of what is selected.";
    OpenRunbook, "open-runbook", Copy, On(SUBJECTS), Shown, Looks, "Opens the runbook of what is selected.";
    OpenDashboard, "open-dashboard", Copy, On(SUBJECTS), Shown, Looks, "Opens the dashboard of what is selected.";
    GrantInvite(Option<Words>), "grant-invite", Copy, On(&[Pane::Servers]), Shown, Looks, "Copies the command line that invites the holder of a grant again, for the same.";
    Export(Words), "export", Copy, On(LISTS), Shown, Looks, "Writes the marked rows to a file, as JSON Lines.";

    Glossary, "glossary", Console, Everywhere, Shown, Looks, "Says what the words here mean, midwatch's own and your team's.";
    Help, "help", Console, Everywhere, Shown, Looks, "Shows what the keys do here.";
    Reconnect, "reconnect", Console, Everywhere, Shown, Looks, "Tries all servers again that cannot be reached.";
    ServerMeet, "server-meet", Console, On(&[Pane::Servers]), Shown, Looks, "Asks again whether the key of this server is the right one, when it was met for the first time.";
    Messages, "messages", Console, Everywhere, Shown, Looks, "Shows what this console said before.";
    Redraw, "redraw", Console, Everywhere, Shown, Looks, "Draws the whole screen again.";
    Suspend, "suspend", Console, Everywhere, Shown, Looks, "Goes back to the shell; `fg` comes back here.";
    Quit, "quit", Console, Everywhere, Shown, Looks, "Ends this console; servers and agents go on.";

    PromptAccept, "prompt-accept", Prompt, Typing, Hidden, Looks, "Takes what is typed or chosen.";
    PromptCancel, "prompt-cancel", Prompt, Typing, Hidden, Looks, "Closes without doing anything.";
    PromptNext, "prompt-next", Prompt, Typing, Hidden, Looks, "Goes to the next entry.";
    PromptPrevious, "prompt-previous", Prompt, Typing, Hidden, Looks, "Goes to the previous entry.";
    PromptComplete, "prompt-complete", Prompt, Typing, Hidden, Looks, "Completes what is typed.";
    PromptEditor, "prompt-editor", Prompt, Typing, Hidden, Looks, "Goes on in your editor.";
    PromptLeft, "prompt-left", Prompt, Typing, Hidden, Looks, "Moves left a character.";
    PromptRight, "prompt-right", Prompt, Typing, Hidden, Looks, "Moves right a character.";
    PromptWordLeft, "prompt-word-left", Prompt, Typing, Hidden, Looks, "Moves left a word.";
    PromptWordRight, "prompt-word-right", Prompt, Typing, Hidden, Looks, "Moves right a word.";
    PromptStart, "prompt-start", Prompt, Typing, Hidden, Looks, "Moves to the start.";
    PromptEnd, "prompt-end", Prompt, Typing, Hidden, Looks, "Moves to the end.";
    PromptDelete, "prompt-delete", Prompt, Typing, Hidden, Looks, "Deletes the character here.";
    PromptDeleteBack, "prompt-delete-back", Prompt, Typing, Hidden, Looks, "Deletes the character before.";
    PromptDeleteWord, "prompt-delete-word", Prompt, Typing, Hidden, Looks, "Deletes the word before.";
    PromptDeleteLine, "prompt-delete-line", Prompt, Typing, Hidden, Looks, "Deletes all before.";
    PromptDeleteRest, "prompt-delete-rest", Prompt, Typing, Hidden, Looks, "Deletes all after.";
}

impl Command {
    /// Reads `alert-snooze 2h`, with or without the colon before it.
    pub fn parse(line: &str) -> Result<Command, CommandError> {
        let line = line.trim();
        let line = line.strip_prefix(':').unwrap_or(line).trim_start();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if name.is_empty() {
            return Err(CommandError::Empty);
        }
        let name = ALIASES.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long);
        Command::build(name, rest.trim()).unwrap_or_else(|| {
            Err(CommandError::Unknown { name: name.chars().take(60).collect(), nearest: nearest(name, COMMANDS.iter().map(|entry| entry.name)) })
        })
    }

    pub fn name(&self) -> &'static str {
        self.entry().name
    }
}

fn read_argument<T: Argument>(command: &'static str, rest: &str) -> Result<T, CommandError> {
    if rest.is_empty() && T::EXPECTS.required {
        return Err(CommandError::Missing { command, what: T::EXPECTS.what, example: T::EXPECTS.example });
    }
    T::read(rest).map_err(|why| CommandError::Argument { command, why })
}
