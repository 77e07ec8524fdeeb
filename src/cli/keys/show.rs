//! `midwatch keys show`: who one is, for comparing and handing on.

use std::path::{Path, PathBuf};

use super::super::output::{Output, Tone, wants_colour};
use super::super::{Context, Failure};
use super::qr;
use crate::console::theme::Glyphs;
use crate::trust::{KeyError, KeyFile, PublicKey, ServerKey};

/// Show your key, or another: fingerprint, words, QR code
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch keys show\nExample: midwatch keys show --qr\nExample: midwatch keys show /var/lib/midwatch/server.key    (a server's, on its machine)\nExample: midwatch keys show ~/.ssh/id_ed25519.pub\n\nYour key is made when it is first used, in ~/.local/share/midwatch/keys, without a passphrase; `ssh-keygen -p -f FILE` sets one. The fingerprint is the one that ssh prints. The words are its first 128 bits, for comparing them aloud; no two of them are alike."
)]
pub struct Args {
    /// A key's file, private or public; without it, your own (`key` in console.toml, else the one that is made)
    file: Option<PathBuf>,
    /// The public key as a QR code as well
    #[arg(long)]
    qr: bool,
    /// One JSON object a line
    #[arg(long, conflicts_with = "qr")]
    json: bool,
}

/// What is shown of a key. Nothing of this is secret.
pub(super) struct Shown {
    title: String,
    file: PathBuf,
    pub(super) public: PublicKey,
    comment: String,
    /// Of a private key: whether a passphrase guards it.
    guarded: Option<bool>,
    made: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let shown = match &args.file {
        Some(file) => other(file)?,
        None => own(context)?,
    };
    let mut out = Output::new();
    if args.json {
        out.json(&serde_json::json!({
            "file": shown.file, "fingerprint": shown.public.fingerprint(), "words": shown.public.words().join(" "),
            "public_key": shown.public.line(), "comment": shown.comment, "passphrase": shown.guarded, "made": shown.made,
        }))?;
        return out.finish();
    }
    let row = |name: &str, tone: Tone, text: String| vec![(Tone::Muted, name.to_owned()), (tone, text)];
    let mut rows = vec![row(&shown.title, Tone::Plain, shown.file.display().to_string())];
    if shown.made {
        rows.push(row("", Tone::Plain, "made just now".into()));
    }
    rows.push(row("fingerprint", Tone::Strong, shown.public.fingerprint()));
    for (place, words) in shown.public.words().chunks(4).enumerate() {
        rows.push(row(if place == 0 { "words" } else { "" }, Tone::Plain, words.join(" ")));
    }
    if let Some(guarded) = shown.guarded {
        rows.push(row("passphrase", Tone::Plain, if guarded { "yes" } else { "none" }.into()));
    }
    out.table(&rows)?;
    out.line("")?;
    // In one piece, for copying.
    out.line(format!("{} {}", shown.public.line(), shown.comment).trim_end())?;
    if args.qr {
        out.line("")?;
        draw(&mut out, &shown.public)?;
    }
    out.finish()
}

fn draw(out: &mut Output, key: &PublicKey) -> Result<(), Failure> {
    let var = |name: &str| std::env::var(name).ok();
    if !Glyphs::locale_is_utf8(var) {
        return out.line("A QR code needs half blocks, and this locale is not UTF-8: compare the words, or the fingerprint.");
    }
    let paper = if wants_colour() { qr::Paper::Own } else { qr::Paper::of_terminal(var("COLORFGBG").as_deref()) };
    match qr::lines(&key.line(), paper) {
        // Made of half blocks, and escapes of our own.
        Some(lines) => lines.iter().try_for_each(|line| out.raw(line.as_bytes())),
        None => out.line("The key does not fit into a QR code."),
    }
}

fn own(context: &Context) -> Result<Shown, Failure> {
    let settings = context.settings()?;
    if let Some(path) = &settings.key {
        return other(path).map(|shown| Shown { title: "your key".into(), ..shown });
    }
    let path = context.places.person_key();
    let (key, made) = KeyFile::load_or_create(&path, &comment(&settings.person())).map_err(failed)?;
    Ok(Shown { title: "your key".into(), file: path, public: key.public, guarded: Some(key.is_guarded()), comment: key.comment, made })
}

pub(super) fn other(file: &Path) -> Result<Shown, Failure> {
    let file = super::super::settings::home(file);
    let missing = || Failure::failed(format!("there is no file {}", file.display()), "`midwatch keys show` alone shows your own key");
    let title = "key".to_owned();
    // The first servers' keys are in a format of their own.
    if file.file_name().is_some_and(|name| name == "server.key") {
        let key = ServerKey::load(&file).map_err(failed)?.ok_or_else(missing)?;
        let public = key.public().map_err(failed)?;
        return Ok(Shown { title, file, public, comment: String::new(), guarded: Some(false), made: false });
    }
    if file.extension().is_some_and(|end| end == "pub") {
        let (public, comment) = PublicKey::load(&file).map_err(failed)?.ok_or_else(missing)?;
        return Ok(Shown { title, file, public, comment, guarded: None, made: false });
    }
    let key = KeyFile::read(&file).map_err(failed)?.ok_or_else(missing)?;
    Ok(Shown { title, file, public: key.public, guarded: Some(key.is_guarded()), comment: key.comment, made: false })
}

pub(super) fn failed(error: KeyError) -> Failure {
    Failure::failed(error.to_string(), "")
}

/// Whose key it is, as ssh writes it: `kim@laptop`.
pub(super) fn comment(person: &str) -> String {
    let host = rustix::system::uname();
    let plain = |text: &str| -> String { text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(60).collect() };
    format!("{}@{}", plain(person), plain(&host.nodename().to_string_lossy()))
}
