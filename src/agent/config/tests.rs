//! Right configurations, wrong ones, and the words for each.

use super::*;
use crate::agent::check::threshold::Amount;
use crate::model::severity::Status;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("agent.toml"), text)
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

const ALL: &str = r#"
[agent]
name = "web1"
system = "shop/web1"
server = "unix:/run/midwatch.sock"
token_file = "/etc/midwatch/token"
keepalive = "30s"
parallel = 4
data = "/var/lib/midwatch"
spool = "16MiB"
inventory = false

[[check]]
kind = "load"
warning = 1.5
critical = 3
interval = "30s"
timeout = "5s"
attempts = 5
runbook = "https://wiki.example.org/load"

[[check]]
kind = "memory"
warning = "15%"
critical = "500MB"
swap_warning = 20

[[check]]
name = "space"
kind = "disk"
paths = ["/", "/srv"]
exclude = ["/srv/cache"]
critical = "5GiB"

[[check]]
kind = "inodes"

[[check]]
kind = "systemd"
exclude = ["fwupd*"]

[[check]]
name = "varnish runs"
system = "shop/varnish"
kind = "process"
name_is_not_a_field = false
"#;

#[test]
fn a_whole_configuration_is_read() {
    let text = ALL.replace("name_is_not_a_field = false", "cmdline = \"varnishd\"\nmin = 2");
    let config = parse(&text).unwrap();
    assert_eq!(config.agent.spool, 16 << 20);
    let names: Vec<_> = config.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["load", "memory", "space", "inodes", "systemd", "varnish runs"]);
    assert_eq!((config.checks[0].attempts, config.checks[1].attempts, config.checks[4].attempts), (5, 3, 1));
    assert_eq!((config.checks[0].system.as_str(), config.checks[5].system.as_str()), ("shop/web1", "shop/varnish"));
    assert!(matches!(&config.checks[1].kind, Kind::Memory(m) if m.critical == Amount::Bytes(500e6)));
}

#[test]
fn every_kind_is_read_by_its_name() {
    let arguments = [
        ("tcp", "address = \"db:5432\""),
        ("http", "url = \"https://example.org/\"\nstatus = 200\nbody = \"ok\"\ncertificate_warning = \"30d\""),
        ("dns", "host = \"example.org\"\nexpect = [\"192.0.2.1\"]"),
        ("file", "path = \"/x\"\nwarning = \"1d\"\nmin_size = \"1MB\""),
        ("log", "path = \"/x\"\npattern = \"error\""),
        ("clock", "server = \"ntp.example.org:123\""),
        ("plugin", "command = [\"/usr/lib/nagios/plugins/check_load\", \"-w\", \"3\"]"),
        ("process", "cmdline = \"x\""),
    ];
    for name in Kind::NAMES {
        let more = arguments.iter().find(|(kind, _)| kind == name).map(|(_, more)| *more).unwrap_or_default();
        let config = parse(&format!("[[check]]\nkind = \"{name}\"\n{more}\n")).unwrap();
        assert_eq!(config.checks[0].kind.name(), *name);
    }
}

#[test]
fn mistakes_are_said_with_place_and_nearest_name() {
    assert_eq!(refused(ALL), "agent.toml:46:1: unknown field `name_is_not_a_field`, expected one of `program`, `cmdline`, `min`, `max`");
}

#[test]
fn no_argument_is_called_as_what_every_check_has() {
    // It would never reach its kind. The kinds say their fields when they are given one that they lack.
    for kind in Kind::NAMES {
        let said = refused(&format!("[[check]]\nkind = \"{kind}\"\nno_such = 1\n"));
        assert!(COMMON.iter().all(|common| !said.contains(&format!("`{common}`"))), "{said}");
    }
}

#[test]
fn each_mistake_has_its_words() {
    for (text, words) in [
        ("[agent]\nnam = \"x\"\n", "agent.toml:2:1: unknown field `nam`"),
        ("[agent]\nnam = \"x\"\n", "Did you mean `name`?"),
        ("[agents]\n", "agent.toml:1:2: unknown table or field `agents`"),
        ("[agents]\n", "Did you mean `agent`?"),
        ("[check]\nkind = \"load\"\n", "agent.toml:1:2: `check` is no list of tables. Write [[check]]"),
        ("[[check]]\nkind = \"lod\"\n", "agent.toml:2:8: there is no kind of check called `lod`"),
        ("[[check]]\nkind = \"lod\"\n", "Did you mean `load`?"),
        ("[[check]]\nkind = \"load\"\nintervall = \"5s\"\n", "agent.toml:3:1: unknown field `intervall`"),
        ("[[check]]\nkind = \"load\"\nintervall = \"5s\"\n", "Did you mean `interval`?"),
        ("[[check]]\nkind = \"load\"\ninterval = \"5 parsecs\"\n", "agent.toml:3:12: `5 parsecs` is not a length of time"),
        ("[[check]]\nkind = \"load\"\ninterval = \"1ms\"\n", "agent.toml:3:12: `interval` is 1ms. It can be 1s to 7d"),
        ("[[check]]\nkind = \"load\"\nattempts = 0\n", "agent.toml:3:12: `attempts` is 0. It can be 1 to 100"),
        ("[[check]]\nkind = \"disk\"\nwarning = \"lots\"\n", "agent.toml:3:11: `lots` is no share and no amount"),
        ("[[check]]\nname = \"x\"\n", "missing field `kind`"),
        ("[[check]]\nkind = \"tcp\"\n", "missing field `address`"),
        ("[[check]]\nkind = \"tcp\"\naddress = \"db\"\n", "`db` is no address: write host:port"),
        ("[[check]]\nkind = \"http\"\nurl = \"ftp://x\"\n", "`ftp://x` is no web address"),
        ("[[check]]\nkind = \"log\"\npath = \"/x\"\npattern = \"(\"\n", "agent.toml:4:11: `(` is no pattern"),
        ("[[check]]\nkind = \"plugin\"\ncommand = []\n", "`command` is empty"),
        ("[[check]]\nkind = \"plugin\"\ncommand = [\"check_load -w 3\"]\n", "not a line for a shell"),
        ("[[check]]\nkind = \"load\"\n[[check]]\nkind = \"load\"\n", "agent.toml:3:1: there are two checks called `load`. Give each a `name`"),
        ("[agent]\nkeepalive = \"1ms\"\n", "`keepalive` is 1ms. It can be 1s to 1h"),
        ("[agent]\nsystem = \"a b\"\n", "agent.toml:2:10: `a b` is not a system's id"),
        ("[agent\n", "agent.toml:1:"),
    ] {
        let said = refused(text);
        assert!(said.contains(words), "{text:?}\n  said: {said}\n  not:  {words}");
    }
}

#[test]
fn b1_nesting_without_end_is_refused() {
    let text = format!("[agent]\nname = {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&text).is_err());
    assert!(parse(&format!("{}\n", "a.".repeat(50_000))).is_err());
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    assert!(Config::load(&path).unwrap_err().to_string().contains("cannot be read"));
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(Config::load(&path).unwrap_err().to_string().contains("UTF-8"));
    std::fs::write(&path, "[[check]]\nkind = \"load\"\n").unwrap();
    assert_eq!(Config::load(&path).unwrap().checks.len(), 1);
}

#[test]
fn the_machine_is_watched_with_nothing_configured() {
    let config = Config::this_machine();
    assert!(config.checks.len() >= 4);
    assert!(!config.agent.name.as_str().is_empty());
}

#[tokio::test]
async fn what_is_watched_by_itself_has_an_answer_here() {
    for check in Config::this_machine().checks {
        let outcome = check.kind.run(&crate::agent::check::test_context(10_000)).await;
        assert!(outcome.status != Status::Unknown || check.kind.name() != "memory", "{}: {}", check.name, outcome.text);
    }
}
