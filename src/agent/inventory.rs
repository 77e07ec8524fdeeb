//! What this machine is: facts for people, name to value, found without rights and without programs.
//!
//! Whatever a machine or container does not show is left out. Only what seldom changes belongs here: it is sent when it changes.

use std::collections::BTreeSet;
use std::path::Path;

use super::check::disk::real_mounts;
use super::check::threshold::{bytes, float};
use super::text;
use crate::model::observation::Facts;

/// Facts, and characters of one, at most.
const MOST: usize = 64;
const LONGEST: usize = 600;
/// Entries of a folder that are counted at most.
const ENTRIES: usize = 100_000;

/// All that can be found out here. Takes some milliseconds, and may block.
pub fn facts() -> Facts {
    let mut facts = Facts::new();
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.trim().is_empty())
            && facts.len() < MOST
        {
            let value: String = text::title(&value.replace('\n', ", ")).chars().take(LONGEST).collect();
            facts.insert(name.into(), value.into());
        }
    };
    let uname = rustix::system::uname();
    fact("host", Some(uname.nodename().to_string_lossy().into_owned()));
    fact("kernel", Some(uname.release().to_string_lossy().into_owned()));
    fact("architecture", Some(uname.machine().to_string_lossy().into_owned()));
    fact("os", read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).and_then(|text| os_name(&text)));
    let processors = read("/proc/cpuinfo").unwrap_or_default();
    fact("processor", processor(&processors));
    fact("cores", std::thread::available_parallelism().ok().map(|cores| cores.to_string()));
    fact("memory", read("/proc/meminfo").and_then(|text| kib(&text, "MemTotal")).map(bytes));
    fact("swap", read("/proc/meminfo").and_then(|text| kib(&text, "SwapTotal")).filter(|swap| *swap > 0.0).map(bytes));
    fact("disks", disks());
    fact("addresses", Some(addresses()));
    fact("packages", packages());
    fact("services", services());
    fact("boot", boot_time());
    fact("virtualization", virtualization(&processors));
    fact("time zone", time_zone());
    facts
}

/// At most 1 MiB of a file.
fn read(path: &str) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(1 << 20).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// os-release(5).
fn os_name(text: &str) -> Option<String> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(|value| value.trim_matches(['"', '\'']).to_owned());
    field("PRETTY_NAME").or_else(|| field("NAME"))
}

fn processor(cpuinfo: &str) -> Option<String> {
    let names = ["model name", "Hardware", "cpu model", "cpu"];
    names.iter().find_map(|name| cpuinfo.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim().to_owned())))
}

fn kib(meminfo: &str, name: &str) -> Option<f64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn disks() -> Option<String> {
    let mounts = real_mounts(&read("/proc/self/mountinfo")?);
    let sizes = mounts.iter().take(32).filter_map(|mount| {
        let stat = rustix::fs::statvfs(mount).ok()?;
        Some(format!("{} {}", mount.display(), bytes(float(stat.f_blocks) * float(stat.f_frsize))))
    });
    Some(sizes.collect::<Vec<_>>().join(", "))
}

/// What the kernel routes to this machine itself, but for loopback.
fn addresses() -> String {
    let mut found = BTreeSet::new();
    // Each local address stands before a line that says so.
    let trie = read("/proc/net/fib_trie").unwrap_or_default();
    let mut last = "";
    for line in trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim();
        } else if line.contains("/32 host LOCAL") && !last.starts_with("127.") {
            found.insert(last.to_owned());
        }
    }
    for line in read("/proc/net/if_inet6").unwrap_or_default().lines() {
        let digits: String = line.chars().take(32).collect();
        let Ok(number) = u128::from_str_radix(&digits, 16) else { continue };
        let address = std::net::Ipv6Addr::from(number);
        if !address.is_loopback() && !address.is_unicast_link_local() {
            found.insert(address.to_string());
        }
    }
    found.into_iter().take(24).collect::<Vec<_>>().join(", ")
}

/// How many are installed, by the package database that is here.
fn packages() -> Option<String> {
    let entries = |folder: &str, counts: fn(&Path) -> bool| {
        let count = std::fs::read_dir(folder).ok()?.flatten().take(ENTRIES).filter(|entry| counts(&entry.path())).count();
        (count > 0).then_some(count)
    };
    if let Some(count) = entries("/var/lib/dpkg/info", |path| path.extension().is_some_and(|extension| extension == "list")) {
        return Some(format!("{count} (dpkg)"));
    }
    if let Some(count) = entries("/var/lib/pacman/local", Path::is_dir) {
        return Some(format!("{count} (pacman)"));
    }
    let apk = read("/lib/apk/db/installed").map_or(0, |text| text.lines().filter(|line| line.starts_with("P:")).count());
    if apk > 0 {
        return Some(format!("{apk} (apk)"));
    }
    let rpm = ["/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages"];
    rpm.iter().any(|path| Path::new(path).exists()).then(|| "rpm (not counted)".to_owned())
}

/// Services that are to start with the machine.
fn services() -> Option<String> {
    let wanted = std::fs::read_dir("/etc/systemd/system/multi-user.target.wants").ok()?;
    let names: BTreeSet<String> =
        wanted.flatten().take(1_000).filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".service").map(str::to_owned)).collect();
    (!names.is_empty()).then(|| format!("{}: {}", names.len(), names.into_iter().take(40).collect::<Vec<_>>().join(", ")))
}

/// Once in the process's life: the kernel counts it back from the wall clock, so that it wavers with every correction.
fn boot_time() -> Option<String> {
    static BOOT: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let look = || {
        let stat = read("/proc/stat")?;
        let seconds: i64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(crate::model::time::Time::from_secs(seconds).to_string())
    };
    BOOT.get_or_init(look).clone()
}

fn virtualization(cpuinfo: &str) -> Option<String> {
    if Path::new("/.dockerenv").exists() {
        return Some("docker".into());
    }
    if Path::new("/run/.containerenv").exists() {
        return Some("podman".into());
    }
    if let Some(kind) = read("/run/systemd/container") {
        return Some(kind);
    }
    let maker = read("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    let product = read("/sys/class/dmi/id/product_name").unwrap_or_default();
    let known =
        [("QEMU", "qemu"), ("KVM", "kvm"), ("VMware", "vmware"), ("VirtualBox", "virtualbox"), ("Xen", "xen"), ("Amazon EC2", "amazon"), ("Google", "google")];
    let named = known.iter().find(|(sign, _)| maker.contains(sign) || product.contains(sign)).map(|(_, kind)| (*kind).to_owned());
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    named.or_else(|| flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor")).then(|| "a virtual machine".to_owned()))
}

fn time_zone() -> Option<String> {
    read("/etc/timezone").or_else(|| {
        let link = std::fs::read_link("/etc/localtime").ok()?;
        Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described_and_twice_the_same() {
        let found = facts();
        assert!(found.contains_key("kernel") && found.contains_key("cores"), "{found:?}");
        assert!(found.len() <= MOST && found.values().all(|value| !value.chars().any(char::is_control)));
        assert_eq!(found, facts());
    }

    #[test]
    fn files_are_read_as_they_are_written() {
        assert_eq!(os_name("NAME=\"X\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n").unwrap(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(os_name(""), None);
        assert_eq!(processor("processor\t: 0\nmodel name\t: A fast one\n").unwrap(), "A fast one");
        assert_eq!(kib("MemTotal:  2 kB", "MemTotal"), Some(2048.0));
    }
}
