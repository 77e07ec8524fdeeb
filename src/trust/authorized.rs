//! Whose keys a server lets in: OpenSSH's `authorized_keys`, one key a line, with the name that goes with
//! it, and what it may do.
//!
//! ```text
//! ssh-ed25519 AAAA… kim                     a person; the comment is the name
//! name="Kim Lee" ssh-ed25519 AAAA… laptop   the same, with a name of its own
//! agent="web-1" ssh-ed25519 AAAA…           an agent, and what it may speak for
//! peer="infra",rights="read,federate" ssh-ed25519 AAAA…   another server, that may pass on what it reads
//! systems="shop/**,lab",rights="read,respond",expires="2026-12-01T00:00:00Z" ssh-ed25519 AAAA… robin
//! as="responder" ssh-ed25519 AAAA… sam      what the role of that name may do
//! ```
//!
//! Lines of the same name are one person's several keys: their marks, notes and what they have are one, whichever
//! they come by; each line says for itself what its key may do, and goes by itself.
//!
//! Without `systems` it is all of them, without `rights` everything (an agent: to observe; a peer: to read), without
//! `expires` until the line goes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::private::{KeyError, read_own};
use super::public::PublicKey;
use crate::model::grant::{Pattern, Right, Rights, Roles, Scope, Who, is_name};
use crate::model::nearest::nearest;
use crate::model::time::Time;
use crate::wire::Role;

/// Who holds a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    pub key: PublicKey,
    pub role: Role,
    /// The person's, agent's or server's name, which stands beside all that they do.
    pub name: Arc<str>,
    /// What they may do.
    pub scope: Scope,
}

/// The keys of one file, as it was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuthorizedKeys {
    holders: BTreeMap<PublicKey, Arc<Holder>>,
    /// Lines that let nobody in, with their numbers and what is wrong with them.
    pub mistakes: Vec<String>,
}

impl AuthorizedKeys {
    /// Reads the file, which nobody but its owner may write. None there is nobody's.
    pub fn load(path: &Path, roles: &Roles) -> Result<AuthorizedKeys, KeyError> {
        Ok(AuthorizedKeys::parse_with(&read_own(path)?.unwrap_or_default(), roles))
    }

    /// As it is read where there are no roles but those that every server knows.
    pub fn parse(text: &str) -> AuthorizedKeys {
        AuthorizedKeys::parse_with(text, &Roles::default())
    }

    /// A line that is not understood whole lets nobody in; the others count.
    pub fn parse_with(text: &str, roles: &Roles) -> AuthorizedKeys {
        let mut out = AuthorizedKeys::default();
        for (place, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match holder(line, roles) {
                Ok(holder) if out.holders.contains_key(&holder.key) => out.mistakes.push(format!("line {}: this key stands above already", place + 1)),
                Ok(holder) => {
                    out.holders.insert(holder.key, Arc::new(holder));
                }
                Err(why) => out.mistakes.push(format!("line {}: {why}", place + 1)),
            }
        }
        out
    }

    /// Who holds this key.
    pub fn holder(&self, key: &PublicKey) -> Option<&Arc<Holder>> {
        self.holders.get(key)
    }

    pub fn holders(&self) -> impl Iterator<Item = &Arc<Holder>> {
        self.holders.values()
    }

    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.holders.values().map(|holder| &holder.name)
    }

    pub fn len(&self) -> usize {
        self.holders.len()
    }

    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }
}

fn holder(line: &str, roles: &Roles) -> Result<Holder, String> {
    let bare = ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| line.starts_with(kind));
    let (options, rest) = if bare { ("", line) } else { split_options(line)? };
    let (key, comment) = PublicKey::read(rest).map_err(|why| why.to_string())?;
    let (mut person, mut agent, mut peer, mut bundle, mut systems, mut rights, mut expires) = (None, None, None, None, None, None, None);
    let mut left = options;
    while !left.is_empty() {
        // `name="…"`, and a comma before the next one.
        let (name, after) = left.split_once("=\"").ok_or_else(|| unknown(left))?;
        let (value, after) = after.split_once('"').ok_or("a quotation mark is missing")?;
        left = match after.strip_prefix(',') {
            Some(more) if !more.is_empty() => more,
            None if after.is_empty() => "",
            Some(_) | None => return Err("options are divided by a comma, without a space".into()),
        };
        let slot = match name {
            "name" => &mut person,
            "agent" => &mut agent,
            "peer" => &mut peer,
            "as" => &mut bundle,
            "systems" => &mut systems,
            "rights" => &mut rights,
            "expires" => &mut expires,
            other => return Err(unknown(other)),
        };
        if slot.replace(value).is_some() {
            return Err(format!("`{name}` is said twice"));
        }
    }
    let (role, name) = match (person, agent, peer) {
        (None, Some(agent), None) => (Role::Agent, agent),
        (None, None, Some(peer)) => (Role::Peer, peer),
        (Some(person), None, None) => (Role::Console, person),
        (None, None, None) => (Role::Console, comment.as_str()),
        (_, _, _) => return Err("one key is a person's, an agent's or a server's, not both's".into()),
    };
    if !is_name(name) {
        return Err(format!(
            "`{}` is no name: letters, digits, spaces and `. _ - + @`, at most 60; say another with name=\"…\"",
            crate::model::clean::clean_line(name)
        ));
    }
    let default = match role {
        Role::Agent => Rights::of([Right::Observe]),
        Role::Peer => Rights::of([Right::Read]),
        Role::Console => Rights::ALL,
    };
    let systems: Vec<Pattern> = systems.unwrap_or("**").split(',').map(|text| text.trim().parse()).collect::<Result<_, _>>()?;
    let rights = match (bundle, rights) {
        (Some(_), Some(_)) => return Err("`as` says the rights: say one of `as` and `rights`".into()),
        (Some(bundle), None) => by_role(roles, bundle, role)?,
        (None, rights) => rights.map(Rights::parse).transpose()?.unwrap_or(default),
    };
    let expires = expires.map(str::parse::<Time>).transpose().map_err(|why| why.to_string())?;
    Ok(Holder { key, role, name: name.into(), scope: Scope::new(systems, rights, expires) })
}

/// What a named bundle allows, if it is one for those who come like this.
fn by_role(roles: &Roles, name: &str, role: Role) -> Result<Rights, String> {
    let bundle = roles.get(name).ok_or_else(|| {
        let near = nearest(name, roles.names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let name: String = name.chars().take(40).collect();
        format!("this server has no role `{}`{near}", crate::model::clean::clean_line(&name))
    })?;
    if bundle.who != role.who() {
        let a = |who: Who| match who {
            Who::Person => "a person",
            Who::Agent => "an agent",
            Who::Peer => "a peer",
        };
        return Err(format!("the role `{}` is {}'s, and this key is {}'s", crate::model::clean::clean_line(name), a(bundle.who), a(role.who())));
    }
    Ok(bundle.rights)
}

/// A restriction that is not understood is not passed over.
fn unknown(option: &str) -> String {
    let word: String = option.split(['=', ',', '"']).next().unwrap_or_default().chars().take(40).collect();
    format!("`{}` is no option here: name, agent, peer, as, systems, rights and expires are", crate::model::clean::clean_line(&word))
}

/// Options end at the first space that is not within quotation marks.
fn split_options(line: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    let end = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        !quoted && c.is_ascii_whitespace()
    });
    let (options, rest) = end.and_then(|(at, _)| line.split_at_checked(at)).ok_or("this is no public key as OpenSSH writes them")?;
    Ok((options, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::super::signer::Signer;
    use super::*;

    fn line(seed: u8) -> String {
        Signer::from_seed([seed; 32]).public().line()
    }

    fn who(keys: &AuthorizedKeys, seed: u8) -> Option<(Role, String)> {
        keys.holder(&Signer::from_seed([seed; 32]).public()).map(|holder| (holder.role, holder.name.to_string()))
    }

    #[test]
    fn a_file_that_others_may_write_lets_nobody_in() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authorized_keys");
        std::fs::write(&path, line(1) + " kim\n").unwrap();
        for (mode, fine) in [(0o644, true), (0o664, false), (0o646, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(AuthorizedKeys::load(&path, &Roles::default()).map(|keys| keys.len()).ok(), fine.then_some(1), "{mode:o}");
        }
    }

    #[test]
    fn each_key_has_its_name_and_role() {
        let text = format!("# the team\n\n{} kim\nname=\"Kim Lee\" {} laptop of 2026\nagent=\"web-1\" {}\n", line(1), line(2), line(3));
        let keys = AuthorizedKeys::parse(&text);
        assert_eq!((keys.len(), keys.mistakes.len()), (3, 0), "{:?}", keys.mistakes);
        assert_eq!(who(&keys, 1), Some((Role::Console, "kim".into())));
        assert_eq!(who(&keys, 2), Some((Role::Console, "Kim Lee".into())));
        assert_eq!(who(&keys, 3), Some((Role::Agent, "web-1".into())));
        assert_eq!(who(&keys, 4), None);
    }

    #[test]
    fn n9_a_line_that_is_not_understood_whole_lets_nobody_in() {
        for (text, words) in [
            (format!("command=\"/bin/true\" {} kim", line(1)), "`command` is no option"),
            (format!("restrict {} kim", line(1)), "`restrict` is no option"),
            (format!("cert-authority {} kim", line(1)), "`cert-authority` is no option"),
            (format!("name=\"kim\",expiry-time=\"20200101\" {} kim", line(1)), "`expiry-time` is no option"),
            (format!("name=\"kim\",name=\"root\" {}", line(1)), "said twice"),
            (format!("systems=\"sh*p\" {} kim", line(1)), "names no systems"),
            (format!("systems=\"\" {} kim", line(1)), "names no systems"),
            (format!("rights=\"\" {} kim", line(1)), "is no right"),
            (format!("rights=\"raed\" {} kim", line(1)), "did you mean `read`?"),
            (format!("expires=\"tomorrow\" {} kim", line(1)), "is not a time"),
            (format!("expires=\"1795000000\" {} kim", line(1)), "is not a time"),
            (format!("name=\"kim\",agent=\"web-1\" {}", line(1)), "not both"),
            (format!("as=\"respnder\" {} kim", line(1)), "did you mean `responder`?"),
            (format!("as=\"agent\" {} kim", line(1)), "is an agent's"),
            (format!("as=\"reader\",rights=\"read\" {} kim", line(1)), "say one of"),
            (format!("name=\"kim\"x {}", line(1)), "comma"),
            (format!("name=\"kim {}", line(1)), "no public key"),
            (format!("name=\"kim,root\" {}", line(1)), "is no name"),
            (format!("name=\"kim:root\" {}", line(1)), "is no name"),
            (format!("name=\"\" {}", line(1)), "is no name"),
            (format!("agent=\"web-1\",peer=\"infra\" {}", line(1)), "not both"),
            (format!("{} kim,root", line(1)), "is no name"),
            (format!("{} kim\u{202e}toor", line(1)), "is no name"),
            (line(1), "is no name"),
            ("ssh-rsa AAAA kim".into(), "an RSA key"),
            ("hello".into(), "no public key"),
        ] {
            let keys = AuthorizedKeys::parse(&format!("{text}\n{} sam\n", line(2)));
            assert_eq!((who(&keys, 1), keys.len(), keys.mistakes.len()), (None, 1, 1), "{text}");
            assert!(keys.mistakes[0].starts_with("line 1: ") && keys.mistakes[0].contains(words), "{text}: {:?}", keys.mistakes);
        }
    }

    #[test]
    fn a_line_may_say_what_its_key_may_do() {
        let scope = |line: &str| {
            let keys = AuthorizedKeys::parse(line);
            assert_eq!(keys.mistakes, [""; 0], "{line}");
            keys.holder(&Signer::from_seed([1; 32]).public()).unwrap().scope.words()
        };
        let key = line(1);
        assert_eq!(scope(&format!("{key} kim")), "everything on all systems");
        assert_eq!(scope(&format!("peer=\"infra\" {key}")), "read on all systems");
        assert_eq!(scope(&format!("agent=\"web-1\",systems=\"shop/**\" {key}")), "observe on shop/**");
        assert_eq!(scope(&format!("as=\"responder\",systems=\"shop/**\" {key} kim")), "read, respond on shop/**");
        assert_eq!(scope(&format!("peer=\"infra\",as=\"peer\" {key}")), "read, federate on all systems");
        let options = "rights=\"read,respond\",expires=\"2026-12-01T00:00:00Z\",systems=\"shop/**,shop/db,lab\"";
        assert_eq!(scope(&format!("{options} {key} kim")), "read, respond on lab, shop/**, until 2026-12-01T00:00:00Z");
    }

    #[test]
    fn a_servers_own_roles_count_in_its_lines() {
        let bundle = toml::from_str(r#"rights = ["read", "act"]"#).unwrap();
        let roles = Roles::default().with(&[("night".into(), bundle)].into());
        let text = format!("as=\"night\" {} kim\n", line(1));
        assert_eq!(AuthorizedKeys::parse_with(&text, &roles).holder(&Signer::from_seed([1; 32]).public()).unwrap().scope.words(), "read, act on all systems");
        assert_eq!(AuthorizedKeys::parse(&text).mistakes.len(), 1);
    }

    #[test]
    fn lines_of_one_name_are_one_persons_keys_each_with_its_own_rights() {
        let text = format!("name=\"kim\" {} laptop\nname=\"kim\",rights=\"read\" {} phone\n", line(1), line(2));
        let keys = AuthorizedKeys::parse(&text);
        assert_eq!((who(&keys, 1), who(&keys, 2)), (Some((Role::Console, "kim".into())), Some((Role::Console, "kim".into()))));
        assert_eq!(keys.holder(&Signer::from_seed([2; 32]).public()).unwrap().scope.words(), "read on all systems");
    }

    #[test]
    fn a_key_has_one_holder() {
        let keys = AuthorizedKeys::parse(&format!("{} kim\n{} root\n", line(1), line(1)));
        assert_eq!((who(&keys, 1), keys.mistakes.len()), (Some((Role::Console, "kim".into())), 1));
    }
}
