//! Grants' tokens: as they are, narrowed and handed on by somebody who writes the parts by hand.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use biscuit_auth::UnverifiedBiscuit;
use biscuit_auth::builder::BlockBuilder;
use midwatch::model::grant::{Key, Pattern, Rights, Scope};
use midwatch::model::id::GrantId;
use midwatch::model::time::{Span, Time};
use midwatch::trust::grant::{self, NoToken};

use crate::fuzz;
use crate::trust::key;

const NOW: Time = Time::from_secs(1_795_000_000);
const GRANT: GrantId = GrantId([5; 16]);

fn whose(seed: u8) -> Key {
    Key::of(key(seed).public().bytes())
}

fn scope(systems: &[&str], rights: &str, minutes: i64) -> Scope {
    Scope::new(systems.iter().map(|text| text.parse::<Pattern>().unwrap()), Rights::parse(rights).unwrap(), Some(NOW.plus(Span::from_mins(minutes))))
}

fn granted() -> Scope {
    scope(&["shop/**", "lab"], "read,respond", 60)
}

fn minted() -> String {
    grant::mint(&key(1), GRANT, &whose(2), &granted()).unwrap()
}

/// Whatever is read of it is less than what was granted, and of the same grant.
fn read(token: &str) -> String {
    match grant::read(token, &key(1).public(), NOW) {
        Ok(shown) => {
            assert_eq!((shown.grant, &shown.key), (GRANT, &whose(2)));
            assert!(granted().covers(&shown.scope), "more than was granted: {}", shown.scope);
            assert!(shown.scope.expires.is_some_and(|expires| expires > NOW), "without an end");
            assert_eq!(shown.bearer == whose(2), shown.name.is_none(), "it is the other's where it was handed on");
            format!("{} systems, {}, {}", shown.scope.systems.len().min(3), shown.scope.rights, shown.name.is_some())
        }
        // What the part says that is not understood is no other outcome.
        Err(NoToken::NotUnderstood(_)) => "it is not understood".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a4_tokens() {
    let narrowed = grant::narrow(&minted(), &scope(&["shop/varnish"], "read", 10)).unwrap();
    let handed = grant::hand(&narrowed, &key(2), &whose(3), "robin", &scope(&["shop/varnish/**"], "read", 5)).unwrap();
    let again = grant::hand(&handed, &key(3), &whose(4), "jo", &scope(&["**"], "read,administer", 600)).unwrap();
    let seeds = [minted(), narrowed, handed, again];
    fuzz!("tokens", seeds.map(String::into_bytes).to_vec(), |bytes: &[u8]| read(&String::from_utf8_lossy(bytes)));
}

/// The holder signs whatever text they like.
#[test]
fn a6_statements_by_hand() {
    let (token, holder) = (minted(), key(2));
    let text = |systems: &[&str], rights: &str| {
        let handed = grant::hand(&token, &holder, &whose(3), "robin", &scope(systems, rights, 5)).unwrap();
        URL_SAFE_NO_PAD.decode(handed.rsplit('.').nth(1).unwrap()).unwrap()
    };
    fuzz!("statements", vec![text(&["shop/varnish/**"], "read"), text(&["**", "lab"], "read,respond,administer")], |bytes: &[u8]| {
        let signature = holder.sign("midwatch-grant", bytes).unwrap();
        read(&format!("{token}.{}.{}", URL_SAFE_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(signature)))
    });
}

/// The holder appends whatever part they like: none widens it, and none takes for ever.
#[test]
fn a7_parts_by_hand() {
    let token = minted();
    let seeds = [
        "system(\"shop/varnish\");\nright(\"read\");\ncheck if time($time), $time <= 2026-11-18T00:00:00Z;\n",
        "system(\"**\");\nright(\"administer\");\ngrant(\"55555555555555555555555555555555\");\n",
        "check if time($t), $t <= 2030-01-01T00:00:00Z or true;\nsystem($s) <- right($s);\n",
        "check all system($s), $s.matches(\"(a|b)*c\");\nallow if true;\n",
    ];
    let inner = token.strip_prefix("mwt1.").unwrap();
    fuzz!("parts", seeds.map(|text| text.as_bytes().to_vec()).to_vec(), |bytes: &[u8]| {
        let Ok(block) = BlockBuilder::new().code(String::from_utf8_lossy(bytes)) else { return "no Datalog".to_owned() };
        let Ok(longer) = UnverifiedBiscuit::from_base64(inner).unwrap().append(block) else { return "it cannot be appended".to_owned() };
        read(&format!("mwt1.{}", longer.to_base64().unwrap()))
    });
}
