//! Tokens: bound to a key, narrowed, handed on; bent, mixed and stolen.

use biscuit_auth::builder::BlockBuilder;
use biscuit_auth::{Algorithm, Biscuit, KeyPair, PrivateKey, UnverifiedBiscuit};
use proptest::prelude::*;

use super::*;
use crate::model::grant::{Pattern, Rights};
use crate::model::time::Span;

const NOW: Time = Time::from_secs(1_795_000_000);
const GRANT: GrantId = GrantId([5; 16]);

fn signer(seed: u8) -> Signer {
    Signer::from_seed([seed; 32])
}

fn key(seed: u8) -> Key {
    Key::of(signer(seed).public().bytes())
}

fn scope(systems: &[&str], rights: &str, minutes: Option<i64>) -> Scope {
    let expires = minutes.map(|minutes| NOW.plus(Span::from_mins(minutes)));
    Scope::new(systems.iter().map(|text| text.parse::<Pattern>().unwrap()), Rights::parse(rights).unwrap(), expires)
}

fn minted() -> String {
    mint(&signer(1), GRANT, &key(2), &scope(&["shop/**", "lab"], "read,respond", Some(60))).unwrap()
}

fn shown(token: &str) -> Result<Shown, NoToken> {
    read(token, &signer(1).public(), NOW)
}

/// A token whose first part is this text, properly signed.
fn signed(source: &str) -> String {
    let root = KeyPair::from(&PrivateKey::from_bytes(&[1; 32], Algorithm::Ed25519).unwrap());
    format!("{MARK}.{}", Biscuit::builder().code(source).unwrap().build(&root).unwrap().to_base64().unwrap())
}

fn with_block(token: &str, source: &str) -> String {
    let inner = UnverifiedBiscuit::from_base64(token.strip_prefix("mwt1.").unwrap()).unwrap();
    format!("{MARK}.{}", inner.append(BlockBuilder::new().code(source).unwrap()).unwrap().to_base64().unwrap())
}

#[test]
fn a_token_says_what_was_granted_to_whom() {
    let shown = shown(&minted()).unwrap();
    assert_eq!((shown.grant, &shown.key, &shown.bearer, shown.name.as_deref()), (GRANT, &key(2), &key(2), None));
    assert_eq!(shown.scope, scope(&["shop/**", "lab"], "read,respond", Some(60)));
    assert_eq!(read(&minted(), &signer(3).public(), NOW), Err(NoToken::Damaged), "another server did not sign it");
    assert_eq!(read(&minted(), &signer(1).public(), NOW.plus(Span::from_mins(61))), Err(NoToken::Over(NOW.plus(Span::from_mins(60)))));
}

#[test]
fn a_token_is_narrowed_without_anybody_and_never_widened() {
    let narrowed = narrow(&minted(), &scope(&["shop/varnish", "dc1/**"], "read,act", Some(600))).unwrap();
    assert_eq!(shown(&narrowed).unwrap().scope, scope(&["shop/varnish"], "read", Some(60)));
    let again = narrow(&narrowed, &scope(&["**"], "read,respond,administer", None)).unwrap();
    assert_eq!(shown(&again).unwrap().scope, scope(&["shop/varnish"], "read", Some(60)));
    let sooner = narrow(&narrowed, &scope(&["**"], "read", Some(5))).unwrap();
    assert_eq!(read(&sooner, &signer(1).public(), NOW.plus(Span::from_mins(6))), Err(NoToken::Over(NOW.plus(Span::from_mins(5)))));
    // A block that says nothing allows nothing.
    assert_eq!(shown(&with_block(&minted(), "right(\"read\");")).unwrap().scope.words(), "nothing");
}

#[test]
fn a_token_is_handed_on_to_a_key_for_less_and_for_a_time() {
    let handed = hand(&minted(), &signer(2), &key(3), "robin", &scope(&["shop/varnish"], "read,act", Some(10))).unwrap();
    let seen = shown(&handed).unwrap();
    assert_eq!((&seen.key, &seen.bearer, seen.name.as_deref()), (&key(2), &key(3), Some("robin")));
    assert_eq!(seen.scope, scope(&["shop/varnish"], "read", Some(10)));
    let further = hand(&handed, &signer(3), &key(4), "sam", &scope(&["**"], "read", Some(600))).unwrap();
    let seen = shown(&further).unwrap();
    assert_eq!((&seen.bearer, seen.scope), (&key(4), scope(&["shop/varnish"], "read", Some(10))));
    assert_eq!(hand(&minted(), &signer(2), &key(3), "robin", &scope(&["lab"], "read", None)), Err(NoToken::Endless));
}

#[test]
fn a_statement_counts_beside_its_own_token_and_by_its_holder_alone() {
    let stolen = hand(&minted(), &signer(3), &key(3), "robin", &scope(&["lab"], "read", Some(10))).unwrap();
    assert_eq!(shown(&stolen), Err(NoToken::Statement), "whoever finds a token cannot hand it to themselves");
    let handed = hand(&minted(), &signer(2), &key(3), "robin", &scope(&["lab"], "read", Some(10))).unwrap();
    let statement = handed.strip_prefix(&minted_like(&handed)).unwrap().to_owned();
    let other = mint(&signer(1), GrantId([6; 16]), &key(2), &scope(&["**"], "read", Some(60))).unwrap();
    assert_eq!(shown(&format!("{other}{statement}")), Err(NoToken::Statement), "not beside another token of the same key");
    // Narrowed after it was handed on, it is another token.
    let narrowed = narrow(&minted_like(&handed), &scope(&["**"], "read", None)).unwrap();
    assert_eq!(shown(&format!("{narrowed}{statement}")), Err(NoToken::Statement));
    // Out of its turn.
    let twice = hand(&handed, &signer(3), &key(4), "sam", &scope(&["lab"], "read", Some(10))).unwrap();
    let last = twice.strip_prefix(&handed).unwrap();
    assert_eq!(shown(&format!("{}{last}", minted_like(&handed))), Err(NoToken::Statement));
}

/// The token that stands before its statements.
fn minted_like(token: &str) -> String {
    token.split('.').take(2).collect::<Vec<_>>().join(".")
}

#[test]
fn a4_a_token_with_any_byte_changed_is_none() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE;
    let handed = hand(&minted(), &signer(2), &key(3), "robin", &scope(&["lab"], "read", Some(10))).unwrap();
    let parts: Vec<&str> = handed.split('.').collect();
    let engine = |place: usize| if place == 1 { URL_SAFE } else { base64::engine::general_purpose::URL_SAFE_NO_PAD };
    for place in 1..parts.len() {
        let bytes = engine(place).decode(parts[place]).unwrap();
        for at in 0..bytes.len() {
            for bit in [0x01, 0x80] {
                let mut bent = bytes.clone();
                bent[at] ^= bit;
                let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
                parts[place] = engine(place).encode(bent);
                let read = shown(&parts.join("."));
                // The last part of a Biscuit is a secret that lets one append; bent, it appends nothing, and says nothing.
                assert!(read.is_err(), "part {place}, byte {at}: {read:?}");
            }
        }
    }
}

#[test]
fn a5_a_part_that_another_key_signed_is_not_believed() {
    let other = KeyPair::from(&PrivateKey::from_bytes(&[9; 32], Algorithm::Ed25519).unwrap());
    let inner = UnverifiedBiscuit::from_base64(minted().strip_prefix("mwt1.").unwrap()).unwrap();
    let request = inner.third_party_request().unwrap();
    let block = request.create_block(&other.private(), BlockBuilder::new().code("system(\"**\");\nright(\"administer\");").unwrap()).unwrap();
    let token = inner.append_third_party(&block.serialize().unwrap());
    let token = token.map(|token| format!("{MARK}.{}", token.to_base64().unwrap()));
    if let Ok(token) = token {
        assert!(matches!(shown(&token), Err(NoToken::NotUnderstood(_))), "{:?}", shown(&token));
    }
}

#[test]
fn a6_an_end_that_is_no_time_is_not_taken_as_none() {
    let start = format!("grant(\"{GRANT}\");\nkey(\"{}\");\nsystem(\"lab\");\nright(\"read\");\n", key(2));
    assert!(shown(&signed(&start)).is_ok());
    for end in [
        "check if time($time), $time <= \"2026-11-21T10:39:00Z\";",
        "check if time($time), $time <= 1795000060;",
        "check if time($time), $time <= true;",
        "check if time($time), $time < 2026-11-21T10:39:00Z;",
        "check if time($t), $t <= 2026-11-21T10:39:00Z;",
        "expires(\"2026-11-21T10:39:00Z\");",
        "expires(2026-11-21T10:39:00Z);",
    ] {
        assert!(matches!(shown(&signed(&format!("{start}{end}"))), Err(NoToken::NotUnderstood(_))), "{end}");
        assert!(matches!(shown(&with_block(&minted(), end)), Err(NoToken::NotUnderstood(_))), "{end}, narrowed");
    }
}

#[test]
fn a7_of_several_ends_the_first_counts_wherever_it_stands() {
    let check = |minutes: i64| format!("{}{};", "check if time($time), $time <= ", NOW.plus(Span::from_mins(minutes)));
    let facts = "system(\"lab\");\nright(\"read\");";
    for source in [format!("{facts}\n{}\n{}", check(5), check(50)), format!("{facts}\n{}\n{}", check(50), check(5))] {
        let token = with_block(&minted(), &source);
        assert_eq!(shown(&token).unwrap().scope.expires, Some(NOW.plus(Span::from_mins(5))));
        assert!(read(&token, &signer(1).public(), NOW.plus(Span::from_mins(6))).is_err());
    }
    // Nor does a second grant or key replace the first.
    for source in [format!("grant(\"{GRANT}\");\n{facts}"), format!("key(\"{}\");\n{facts}", key(9))] {
        assert!(matches!(shown(&with_block(&minted(), &source)), Err(NoToken::NotUnderstood(_))), "{source}");
    }
}

/// More of them than a token may have are refused for that, and not since the token has grown too long.
#[test]
fn a_token_is_narrowed_and_handed_on_so_often_and_is_so_long_at_most() {
    let (all, less) = (scope(&["**"], "read", None), scope(&["lab"], "read", Some(10)));
    let narrowed = (0..16).fold(minted(), |token, _| narrow(&token, &all).unwrap());
    assert!(shown(&narrowed).is_ok());
    assert_eq!(narrow(&narrowed, &all), Err(NoToken::TooLong));
    let by_hand = with_block(&narrowed, "system(\"**\");\nright(\"read\");");
    assert!(by_hand.len() < LONGEST);
    assert_eq!(shown(&by_hand), Err(NoToken::TooLong));
    let hands = u8::try_from(HANDS).unwrap();
    let on = |token: &str, seed| hand(token, &signer(seed), &key(seed + 1), "robin", &less);
    let handed = (0..hands).fold(minted(), |token, number| on(&token, 2 + number).unwrap());
    assert_eq!(shown(&handed).unwrap().hands.len(), HANDS);
    assert_eq!(on(&handed, 2 + hands), Err(NoToken::TooLong));
    let by_hand = format!("{handed}.{}", handed::hand(&handed, &signer(2 + hands), &key(99), "robin", &less).unwrap());
    assert!(by_hand.len() < LONGEST);
    assert_eq!(shown(&by_hand), Err(NoToken::TooLong));
    // A lease names as many systems as a grant may, and what stands in a `hello` does not.
    let many: Vec<String> = (0..50).map(|number| format!("shop/{}{number}", "x".repeat(100))).collect();
    let many = scope(&many.iter().map(String::as_str).collect::<Vec<_>>(), "read", Some(10));
    let long = hand(&minted(), &signer(2), &key(3), "robin", &many).unwrap();
    assert!(long.len() > LONGEST && read_of(&long, &signer(1).public(), NOW, lease::LONGEST).is_ok());
    assert_eq!(shown(&long), Err(NoToken::TooLong));
}

#[test]
fn a_statement_ends_by_itself_and_what_was_handed_on_is_narrowed_by_handing_it_on() {
    let handed = hand(&minted(), &signer(2), &key(3), "robin", &scope(&["lab"], "read", Some(10))).unwrap();
    assert_eq!(read(&handed, &signer(1).public(), NOW.plus(Span::from_mins(11))), Err(NoToken::Over(NOW.plus(Span::from_mins(10)))));
    assert!(matches!(narrow(&handed, &scope(&["lab"], "read", None)), Err(NoToken::NotUnderstood(_))));
    // Of a later version, and one whose first part says a thing twice.
    assert_eq!(shown(&minted().replacen("mwt1", "mwt2", 1)), Err(NoToken::Other));
    let facts = format!("grant(\"{GRANT}\");\nkey(\"{}\");\nsystem(\"lab\");\nright(\"read\");\n", key(2));
    for more in [format!("grant(\"{}\");\n", GrantId([6; 16])), format!("key(\"{}\");\n", key(9))] {
        assert!(matches!(shown(&signed(&format!("{facts}{more}"))), Err(NoToken::NotUnderstood(_))), "{more}");
    }
    // Ends are told in whole seconds, and never later ones.
    let ends = NOW.plus(Span::from_millis(600_900));
    let token = mint(&signer(1), GRANT, &key(2), &Scope { expires: Some(ends), ..scope(&["lab"], "read", None) }).unwrap();
    assert_eq!(shown(&token).unwrap().scope.expires, Some(NOW.plus(Span::from_secs(600))));
}

#[test]
fn what_is_not_understood_makes_a_token_worthless() {
    for source in
        ["right(\"levitate\");", "system(\"sh*p\");", "right(\"read\", \"write\");", "right($x) <- right($x);", "deny(\"all\");", "check if admin(true);"]
    {
        let token = with_block(&minted(), source);
        assert!(matches!(shown(&token), Err(NoToken::NotUnderstood(_))), "{source}: {:?}", shown(&token));
    }
    for text in ["", "mwt1", "mwt1.", "mwt2.abc", "mwt1.abc", "mwt1.abc.def", "hello", &"mwt1.a".repeat(2_000)] {
        assert!(shown(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is said in whatever order, a token never allows more than what was granted.
    #[test]
    fn whatever_is_narrowed_stays_within_what_was_granted(steps in prop::collection::vec((0..5_usize, 1..255_u8, prop::option::of(1..100_i64)), 0..5)) {
        let (mut token, mut expected) = (minted(), scope(&["shop/**", "lab"], "read,respond", Some(60)));
        for (place, bits, minutes) in steps {
            let systems = [["**"].as_slice(), &["shop/*", "lab"], &["shop/varnish"], &["dc1/**"], &["shop/**"]][place];
            let rights = Rights::of(crate::model::grant::Right::ALL.into_iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, right)| right));
            let to = Scope { rights, ..scope(systems, "read", minutes) };
            token = narrow(&token, &to).unwrap();
            expected = expected.narrow(&to);
        }
        prop_assert_eq!(shown(&token).unwrap().scope, expected);
    }
}
