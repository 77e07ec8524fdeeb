//! Who is told of whom, for any seats and scopes; and how it reads.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::grant::{Pattern, Right, Rights, Scope};

const T0: Time = Time::from_secs(1_795_000_000);
const SYSTEMS: [&str; 6] = ["shop", "shop/varnish", "shop/db", "dc1", "dc1/ceph", "lab"];
const NAMES: [&str; 5] = ["kim", "ana", "jo", "robin", "kim@shop"];

fn id(place: u8) -> SystemId {
    SYSTEMS[usize::from(place) % SYSTEMS.len()].parse().unwrap()
}

/// An alert of each system, and the system itself.
fn focus(place: u8, alert: bool) -> Focus {
    if alert { Focus::Alert(Fingerprint([place % 6; 16])) } else { Focus::System(id(place)) }
}

fn seat() -> impl Strategy<Value = Seat> {
    (0..3_u8, 0..5_usize, 0..6_u8, any::<bool>(), 0..600_i64).prop_map(|(whose, name, place, alert, after)| Seat {
        whose: [Whose::Own, Whose::Peers, Whose::Primarys][usize::from(whose)],
        name: NAMES[name].into(),
        at: focus(place, alert),
        system: id(place),
        since: T0.plus(Span::from_secs(after)),
    })
}

/// What connections say one after the other.
fn course() -> impl Strategy<Value = Vec<(u64, Vec<Seat>)>> {
    prop::collection::vec((0..6_u64, prop::collection::vec(seat(), 0..4)), 0..30)
}

fn scope() -> impl Strategy<Value = Scope> {
    let pattern = prop_oneof![Just("**"), Just("*"), Just("shop/**"), Just("shop/*"), Just("dc1/ceph"), Just("lab"), Just("shop")];
    let patterns = prop::collection::vec(pattern.prop_map(|text| text.parse::<Pattern>().unwrap()), 0..3);
    (patterns, any::<bool>()).prop_map(|(systems, reads)| {
        let rights = if reads { Rights::of([Right::Read]) } else { Rights::of([Right::Respond, Right::Administer]) };
        Scope::new(systems, rights, None)
    })
}

fn all(seats: &Seats) -> Vec<(u64, Seat)> {
    seats.0.iter().flat_map(|(link, seats)| seats.iter().map(|seat| (*link, seat.clone()))).collect()
}

/// Name and thing of all who are told.
fn told(book: &Book) -> BTreeSet<(Arc<str>, Focus)> {
    book.iter().flat_map(|(at, who)| who.iter().map(|looker| (looker.name.clone(), at.clone()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The oracle is of its own: seat by seat.
    #[test]
    fn each_is_told_of_all_that_they_may_see_and_of_nothing_else(course in course(), scope in scope(), name in 0..5_usize, link in 0..6_u64) {
        let mut seats = Seats::default();
        for (link, said) in course {
            seats.sit(link, said);
        }
        let expected = |tells: &dyn Fn(u64, &Seat) -> bool| -> BTreeSet<(Arc<str>, Focus)> {
            all(&seats).into_iter().filter(|(link, seat)| tells(*link, seat)).map(|(_, seat)| (seat.name, seat.at)).collect()
        };
        let reads = scope.rights.has(Right::Read);
        let sees = |seat: &Seat| reads && scope.systems.iter().any(|pattern| pattern.matches(seat.system.as_str()));
        let person = seats.seen_by(&Reader::Person { name: NAMES[name], scope: &scope });
        prop_assert_eq!(told(&person), expected(&|_, seat| sees(seat) && *seat.name != *NAMES[name]));
        let peer = seats.seen_by(&Reader::Peer { link, scope: &scope });
        prop_assert_eq!(told(&peer), expected(&|of, seat| sees(seat) && of != link && seat.whose != Whose::Primarys));
        prop_assert_eq!(told(&seats.seen_by(&Reader::Primary)), expected(&|_, seat| seat.whose == Whose::Own));
    }

    #[test]
    fn less_scope_is_never_told_more(course in course(), scope in scope(), other in scope()) {
        let mut seats = Seats::default();
        for (link, said) in course {
            seats.sit(link, said);
        }
        let book = |scope: &Scope| told(&seats.seen_by(&Reader::Person { name: "nobody", scope }));
        let less = book(&scope.narrow(&other));
        prop_assert!(less.is_subset(&book(&scope)) && less.is_subset(&book(&other)));
    }

    /// A reader that is told what changed, now and then, knows at the end what one knows who asks then.
    #[test]
    fn what_changed_adds_up_to_what_is(course in course(), scopes in prop::collection::vec(scope(), 1..4), every in 1..5_usize) {
        let (mut seats, mut sent, mut reader) = (Seats::default(), Book::default(), Book::default());
        let count = course.len();
        for (place, (link, said)) in course.into_iter().enumerate() {
            let before = seats.clone();
            let changed = seats.sit(link, said);
            prop_assert_eq!(changed, before != seats);
            let scope = &scopes[place * scopes.len() / count];
            if place % every == 0 || place + 1 == count {
                let told = sent.become_of(seats.seen_by(&Reader::Person { name: "jo", scope }));
                prop_assert!(told.as_ref().is_none_or(|told| !told.looked.is_empty()));
                told.into_iter().for_each(|told| reader.take(told));
                prop_assert_eq!(&reader, &sent);
                prop_assert_eq!(told_of(&reader), told_of(&seats.seen_by(&Reader::Person { name: "jo", scope })));
            }
        }
    }
}

fn told_of(book: &Book) -> Vec<(Focus, Vec<Looker>)> {
    book.iter().map(|(at, who)| (at.clone(), who.to_vec())).collect()
}

fn seat_of(name: &str, place: u8, since: i64) -> Seat {
    Seat { whose: Whose::Own, name: name.into(), at: focus(place, true), system: id(place), since: T0.plus(Span::from_secs(since)) }
}

fn everybody(seats: &Seats) -> Vec<(Focus, Vec<Looker>)> {
    told_of(&seats.seen_by(&Reader::Person { name: "", scope: &Scope::all() }))
}

#[test]
fn a_person_at_two_consoles_is_one_and_has_looked_since_the_first() {
    let mut seats = Seats::default();
    seats.sit(1, vec![seat_of("kim", 1, 60)]);
    seats.sit(2, vec![seat_of("kim", 1, 5)]);
    seats.sit(3, vec![seat_of("ana", 1, 30)]);
    let who = &everybody(&seats)[0].1;
    assert_eq!(who.iter().map(|looker| (&*looker.name, looker.since.since(T0).secs())).collect::<Vec<_>>(), [("kim", 5), ("ana", 30)]);
    seats.sit(2, Vec::new());
    assert_eq!(everybody(&seats)[0].1.iter().map(|looker| &*looker.name).collect::<Vec<_>>(), ["ana", "kim"]);
}

#[test]
fn who_says_the_same_again_has_looked_since_before() {
    let mut seats = Seats::default();
    assert!(seats.sit(1, vec![seat_of("kim", 1, 5)]));
    assert!(!seats.sit(1, vec![seat_of("kim", 1, 90)]), "nothing changed");
    assert_eq!(everybody(&seats)[0].1[0].since, T0.plus(Span::from_secs(5)));
    assert!(seats.sit(1, vec![seat_of("kim", 2, 90)]) && seats.sit(1, vec![seat_of("kim", 1, 91)]), "they went and came back");
    assert_eq!(everybody(&seats)[0].1[0].since, T0.plus(Span::from_secs(91)));
}

#[test]
fn however_many_say_that_they_look_it_is_bounded() {
    let mut seats = Seats::default();
    for link in 0..2_000 {
        seats.sit(link, vec![seat_of(&format!("person {link}"), 1, 0)]);
    }
    assert_eq!(all(&seats).len(), 1_000);
    assert_eq!(everybody(&seats)[0].1.len(), WHO);
    // Who sits already may still go elsewhere, and whose place is free again is another's.
    assert!(seats.sit(0, vec![seat_of("person 0", 2, 0)]) && seats.sit(0, Vec::new()) && seats.sit(1_999, vec![seat_of("last", 1, 0)]));
    let many = (0..900).map(|n| seat_of(&format!("user {n}"), 1, 0)).collect();
    let mut seats = Seats::default();
    seats.sit(7, many);
    assert_eq!(all(&seats).len(), 200, "of one peer");
    let mut book = Book::default();
    let who = vec![Looker { name: "kim".into(), since: T0 }; 500];
    book.take(Presence { looked: (0..5_000_u32).map(|n| Looked { at: Focus::System(format!("a/{n}").parse().unwrap()), who: who.clone() }).collect() });
    assert_eq!((book.iter().count(), book.iter().map(|(_, who)| who.len()).max()), (500, Some(WHO)));
}

#[test]
fn it_reads_in_as_much_room_as_there_is() {
    let look = |name: &str, ago: i64| Looker { name: name.into(), since: T0.minus(Span::from_secs(ago)) };
    let who = [look("kim", 250), look("ana", 61), look("jo", 59), look("robin", -30)];
    for (room, expected) in [(80, "kim 4m, ana 1m, jo, robin"), (20, "kim 4m, ana 1m +2"), (12, "kim 4m +3"), (3, "kim 4m +3")] {
        assert_eq!(words(&who, T0, room), expected, "{room}");
    }
    assert_eq!(words(&who[..1], T0, 80), "kim 4m");
    // Nothing from outside reaches a screen uncleaned.
    assert_eq!(words(&[look("ki\u{1b}[2Jm\nx", 0)], T0, 80).chars().filter(|c| c.is_control()).count(), 0);
    assert_eq!(&*called("  "), "somebody");
    assert_eq!(called(&"x".repeat(500)).len(), LONGEST);
}
