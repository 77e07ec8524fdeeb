//! Who plays: three servers with their systems, and the machines whose agents report to them.
//!
//! It stands in `infra.toml`, `shop.toml` and `club.toml`, whose `[[system]]` tables are what stands in a
//! server's own configuration.

use std::sync::Arc;

use serde::Deserialize;

use crate::model::id::{AgentId, CheckId, SystemId};
use crate::model::observation::Facts;
use crate::model::system::SystemSpec;

/// The servers' names, in the order in which the console shows them.
pub const SERVERS: [&str; 3] = ["infra", "shop", "club"];

const FILES: [&str; 3] = [include_str!("infra.toml"), include_str!("shop.toml"), include_str!("club.toml")];

#[derive(Clone, Debug)]
pub struct Cast {
    pub servers: Vec<Player>,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Player {
    pub name: Arc<str>,
    pub systems: Vec<SystemSpec>,
    pub agents: Vec<Machine>,
}

/// A machine with an agent on it.
#[derive(Clone, Debug)]
pub struct Machine {
    pub agent: AgentId,
    pub system: SystemId,
    pub checks: Vec<CheckSpec>,
}

#[derive(Clone, Debug)]
pub struct CheckSpec {
    pub check: CheckId,
    pub system: SystemId,
    /// What it says when all is well, and when it is not: `{10..20}` is a number that differs.
    pub fine: Arc<str>,
    pub bad: Arc<str>,
}

/// What every machine checks of itself.
const OWN: [[&str; 3]; 5] = [
    ["load", "load 0.7 per core", "load {2..5} per core (> 1.5)"],
    ["memory", "memory 61 % used", "memory {91..98} % used (> 90 %)"],
    ["disk", "/ 48 % full", "/ {86..95} % full (> 85 %)"],
    ["units", "no unit failed", "{2..4} units failed"],
    ["clock", "offset 2 ms", "offset {110..900} ms (> 100 ms)"],
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Arc<str>,
    system: Vec<SystemSpec>,
    agent: Vec<AgentTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentTable {
    name: String,
    system: SystemId,
    checks: Vec<String>,
}

impl Cast {
    /// Reads the cast. It is part of the program: an error is a defect, which a test would have found.
    pub fn read() -> Result<Cast, String> {
        let servers = FILES.iter().zip(SERVERS).map(|(text, name)| Player::read(text).map_err(|why| format!("{name}.toml of the demo: {why}")));
        Ok(Cast { servers: servers.collect::<Result<_, _>>()? })
    }

    pub fn check(&self, server: &str, agent: &str, check: &str) -> Option<&CheckSpec> {
        self.servers.iter().find(|player| &*player.name == server)?.machine(agent)?.check(check)
    }
}

impl Player {
    fn read(text: &str) -> Result<Player, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let agents = file.agent.iter().map(Machine::read).collect::<Result<_, _>>()?;
        Ok(Player { name: file.name, systems: file.system, agents })
    }

    pub fn machine(&self, agent: &str) -> Option<&Machine> {
        self.agents.iter().find(|machine| machine.agent.as_str() == agent)
    }
}

impl Machine {
    fn read(table: &AgentTable) -> Result<Machine, String> {
        let declared = table.checks.iter().map(|line| {
            let mut parts = line.split('|').map(str::trim);
            match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(check), Some(system), Some(fine), Some(bad), None) => {
                    let system = system.parse().map_err(|error| format!("{line}: {error}"))?;
                    Ok(CheckSpec { check: check.into(), system, fine: fine.into(), bad: bad.into() })
                }
                _ => Err(format!("`{line}` is not `name | system | fine | bad`")),
            }
        });
        let own = OWN
            .iter()
            .map(|[check, fine, bad]| Ok(CheckSpec { check: (*check).into(), system: table.system.clone(), fine: (*fine).into(), bad: (*bad).into() }));
        let checks = declared.chain(own).collect::<Result<_, String>>()?;
        Ok(Machine { agent: table.name.as_str().into(), system: table.system.clone(), checks })
    }

    pub fn check(&self, check: &str) -> Option<&CheckSpec> {
        self.checks.iter().find(|spec| spec.check.as_str() == check)
    }

    /// What the agent says of its machine.
    pub fn facts(&self) -> Facts {
        let number = self.agent.as_str().bytes().map(u64::from).sum::<u64>();
        let cores = [4, 8, 16, 32].get(usize::try_from(number % 4).unwrap_or(0)).copied().unwrap_or(4);
        [
            ("os", "Debian GNU/Linux 12".to_owned()),
            ("kernel", "6.1.0-28-amd64".to_owned()),
            ("cpu", format!("{cores} cores")),
            ("memory", format!("{} GiB", cores * 4)),
            ("addresses", format!("10.{}.{}.{}", number % 7, number % 13, number % 250)),
            ("packages", format!("{}", 380 + number % 170)),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_that_is_named_is_declared() {
        let cast = Cast::read().unwrap();
        let known: Vec<(Arc<str>, SystemId)> = cast.servers.iter().flat_map(|p| p.systems.iter().map(|s| (p.name.clone(), s.id.clone()))).collect();
        assert!(known.len() >= 60, "{}", known.len());
        let declared = |server: &Arc<str>, id: &SystemId| known.iter().any(|(s, i)| s == server && i == id);
        for player in &cast.servers {
            for system in &player.systems {
                for need in system.uses.iter().chain(&system.subsystems) {
                    assert!(declared(need.server.as_ref().unwrap_or(&player.name), &need.id), "{} needs {need}", system.id);
                }
            }
            for machine in &player.agents {
                assert!(declared(&player.name, &machine.system), "{}", machine.system);
                for check in &machine.checks {
                    assert!(declared(&player.name, &check.system), "{}", check.system);
                }
            }
        }
    }
}
