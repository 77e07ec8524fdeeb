//! `midwatch grants --system`: who may see a system, and why.

use crate::cli::ask::{self, Ask};
use crate::cli::output::{Output, Tone};
use crate::cli::{Context, Failure, servers};
use crate::model::id::SystemRef;
use crate::model::nearest::nearest;
use crate::model::view::access::{At, access};
use crate::model::view::holding::Held;

pub fn access_of(system: &str, json: bool, context: &Context) -> Result<(), Failure> {
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        ask.holdings().await;
        let (sky, now) = (ask.sky(), ask::now());
        let held: Vec<Option<Held>> = (0..sky.servers.len()).map(|place| ask.asked.get(ask.server_at(place)?.0).and_then(servers::held)).collect();
        let at = |place: usize| At { server: place, held: held.get(place).and_then(Option::as_ref) };
        // A server's place among those that have a world.
        let through = |place: usize| {
            let by = ask.asked.get(ask.server_at(place)?.0)?.through.as_ref()?.0;
            (0..sky.servers.len()).find(|other| ask.server_at(*other) == Some(by))
        };
        let (server, wanted) = system.split_once(':').map_or((None, system), |(server, system)| (Some(server), system));
        let mut found: Vec<(usize, SystemRef)> = Vec::new();
        for (place, seen) in sky.servers.iter().enumerate().filter(|(_, seen)| server.is_none_or(|server| *seen.name == *server)) {
            let ids = seen.world.systems.keys().filter(|id| id.as_str() == wanted);
            found.extend(ids.map(|id| (place, SystemRef { origin: seen.world.origin, id: id.clone() })));
        }
        if found.is_empty() {
            ask.all_reached()?;
            let near = nearest(wanted, sky.servers.iter().flat_map(|seen| seen.world.systems.keys().map(|id| id.as_str())));
            let hint = near.map_or_else(|| "`midwatch systems` lists those that you may see".to_owned(), |near| format!("Did you mean `{near}`?"));
            return Err(Failure::failed(format!("there is no system `{system}` that you may see"), hint));
        }
        let mut out = Output::new();
        for (place, system) in found {
            let Some(access) = access(&sky, &system, at(place), through(place).map(at), now) else { continue };
            if json {
                out.json(&access)?;
                continue;
            }
            out.toned(&[(Tone::Strong, &format!("Who may see {}", access.system))])?;
            if let Some(own) = &access.own {
                out.line(&format!("You, {}: {}; {}; {}", own.who, own.may, own.by, own.ends))?;
            }
            let rows = access.ways.iter().map(|way| {
                let tone = if way.given.ending.severity().is_some() { Tone::Stale } else { Tone::Plain };
                vec![
                    (Tone::Muted, way.given.id.short()),
                    (Tone::Strong, way.given.name.clone()),
                    (Tone::Plain, way.given.role.to_string()),
                    (tone, way.given.ends.clone()),
                    (Tone::Muted, way.why()),
                ]
            });
            out.table(&rows.collect::<Vec<_>>())?;
            for sentence in &access.standing {
                out.line(sentence)?;
            }
        }
        out.finish()?;
        ask.all_reached()
    })
}
