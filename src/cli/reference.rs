//! The README's tables, made from what the program itself reads: a test compares them.

use clap::CommandFactory;

use super::Cli;

/// Every subcommand and what it does, as a Markdown table.
pub fn commands() -> String {
    let mut out = String::from("| command | does |\n| --- | --- |\n");
    let mut root = Cli::command();
    root.build();
    rows(&root, &mut out);
    out
}

fn rows(command: &clap::Command, out: &mut String) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        if sub.has_subcommands() {
            rows(sub, out);
            continue;
        }
        let mut sub = sub.clone();
        let usage = sub.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").replace(" [OPTIONS]", "").replace('|', "\\|");
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        out.push_str(&format!("| `{usage}` | {about} |\n"));
    }
}

/// The shipped keys, as a Markdown table.
pub fn keys() -> String {
    super::keys::markdown().unwrap_or_else(|failure| failure.to_string())
}

/// `--help` of the program and of every subcommand, under its name: a snapshot of all of it shows what
/// a change changed.
pub fn helps() -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut root = Cli::command().term_width(96);
    root.build();
    collect(&mut root, "midwatch", &mut out);
    out
}

fn collect(command: &mut clap::Command, name: &str, out: &mut Vec<(String, String)>) {
    out.push((name.to_owned(), command.render_long_help().to_string()));
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
        let name = format!("{name} {}", sub.get_name());
        collect(sub, &name, out);
    }
}

/// Every configuration file, with the keys that it may have, as its own reader names them.
pub fn configuration() -> Vec<(&'static str, Vec<String>)> {
    let keys = |texts: &[&str], parse: fn(&str) -> Option<String>| texts.iter().filter_map(|text| parse(text)).flat_map(|words| expected(&words)).collect();
    let server = [
        "zz = 1",
        "[rules]\nzz = 1",
        "[retention]\nzz = 1",
        "[[retention.kind]]\nzz = 1",
        "[[system]]\nzz = 1",
        "[[system]]\ncontacts = [{ zz = 1 }]",
        "[[source]]\nzz = 1",
        "[[map]]\nzz = 1",
        "[intake]\nzz = 1",
        "[tls]\nzz = 1",
        "[proxy]\nzz = 1",
        "[limits]\nzz = 1",
    ];
    vec![
        ("console.toml", keys(&["zz = 1", "[servers.a]\nzz = 1"], wrong::<super::settings::Settings>)),
        ("server.toml", keys(&server, wrong::<crate::server::Config>)),
    ]
}

fn wrong<T: serde::de::DeserializeOwned>(text: &str) -> Option<String> {
    toml::from_str::<T>(text).err().map(|error| error.message().to_owned())
}

/// The names in "unknown field `zz`, expected one of `a`, `b`".
fn expected(words: &str) -> Vec<String> {
    words.split('`').skip(1).step_by(2).filter(|name| *name != "zz").map(str::to_owned).collect()
}
