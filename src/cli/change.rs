//! `midwatch change`: a deployment or other change, from a pipeline or a person, so that what breaks
//! after it is seen beside it.

use super::ask::{self, Ask};
use super::output::Output;
use super::{Context, Failure, pick};
use crate::model::event::Link;
use crate::model::intent::Intent;

/// Record a deployment or other change
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch change --system shop 'deploy 4f3a2c' --link https://ci.example.org/412 --revision 4f3a2c")]
pub struct Args {
    /// What was changed: shop/varnish, or SERVER:SYSTEM
    #[arg(long, value_name = "SYSTEM")]
    system: String,
    /// What was done, in a few words
    #[arg(value_name = "TEXT")]
    title: String,
    /// More words: what is in it, how to undo it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    details: String,
    /// The version that is there now
    #[arg(long, value_name = "VERSION")]
    revision: Option<String>,
    /// Where to read more: URL, or NAME=URL; repeatable
    #[arg(long, value_name = "URL")]
    link: Vec<String>,
    /// Print the new event's id as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    context.may_change()?;
    let links = args.link.iter().map(|text| link(text)).collect::<Result<Vec<Link>, Failure>>()?;
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let (server, system) = pick::server_of(&ask, &ask.sky(), &args.system)?;
        let intent = Intent::Change {
            system: system.clone(),
            title: args.title.as_str().into(),
            text: args.details.as_str().into(),
            version: args.revision.as_deref().map(Into::into),
            links,
        };
        let events = ask.perform(server, intent).await?;
        let mut out = Output::new();
        if args.json {
            out.json(&serde_json::json!({ "system": system, "events": events }))?;
        } else {
            out.line(&format!("{}: {} (recorded)", args.system, args.title))?;
        }
        out.finish()
    })
}

/// `https://…`, or `name=https://…`.
fn link(text: &str) -> Result<Link, Failure> {
    let is_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    let (name, url) = match text.split_once('=') {
        Some((name, url)) if is_web(url) && !is_web(name) => (name, url),
        Some(_) | None => ("", text),
    };
    if !is_web(url) || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Failure::usage(format!("`{text}` is no web address"), "Write https://…, or NAME=https://…"));
    }
    Ok(Link { name: name.into(), url: url.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_may_have_names_and_must_be_addresses() {
        let read = |text: &str| link(text).map(|link| (link.name.to_string(), link.url.to_string()));
        assert_eq!(read("https://ci.example.org/4?a=b").unwrap(), (String::new(), "https://ci.example.org/4?a=b".to_owned()));
        assert_eq!(read("ci=https://ci.example.org/4").unwrap().0, "ci");
        for bad in ["", "ci", "javascript:alert(1)", "https://a b", "https://a\u{1b}[2J"] {
            assert!(link(bad).is_err(), "{bad}");
        }
    }
}
