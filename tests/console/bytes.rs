//! What a key costs on the line, through the real drawing core: G10 and G10c of the figures to reach.

use super::night::{Desk, Told, ago, system};
use midwatch::console::screen::{Abilities, Screen};
use midwatch::model::id::Sequence;
use midwatch::model::mark::{Mark, Stamp};
use midwatch::model::severity::Severity;
use midwatch::model::time::Span;

fn full() -> (Desk, Screen) {
    full_since(None)
}

/// The same for somebody who has seen events up to this one.
fn full_since(seen: Option<u64>) -> (Desk, Screen) {
    let mut told = Told::new(4, "big", &[system("shop", "The shop", "service", &[])]);
    for n in 0..400 {
        let severity = if n % 3 == 0 { Severity::Critical } else { Severity::Warning };
        told.fires(
            &format!("shop/node-{n:03}"),
            &format!("Check{}", n % 7),
            severity,
            &format!("latency {} ms over the threshold of 500 ms for 5 min", n * 7919 % 5000),
            ago(i64::from(n)),
        );
    }
    let mut desk = Desk::new(&["big"], "midwatch", 200, 50);
    if let Some(sequence) = seen {
        let world = &told.primary.world;
        let looked = Stamp { at: ago(500), count: 0 };
        let mark = Mark { incarnation: world.incarnation, sequence: Sequence(sequence), looked };
        desk.state.looked_before(&[(world.origin, mark)].into_iter().collect());
    }
    desk.hear(0, told.snapshot());
    desk.press("4");
    desk.press("+");
    let abilities = Abilities { synchronized: true, ..Abilities::default() };
    (desk, Screen::new(200, 50, abilities))
}

fn cost(desk: &Desk, screen: &mut Screen) -> usize {
    screen.draw(|buffer| desk.state.draw(buffer)).len()
}

/// The middle one of what twenty presses of `j` cost, after so many.
fn middle(desk: &mut Desk, screen: &mut Screen, after: usize) -> usize {
    for _ in 0..after {
        desk.press("j");
        cost(desk, screen);
    }
    let mut costs: Vec<usize> = (0..20)
        .map(|_| {
            desk.press("j");
            cost(desk, screen)
        })
        .collect();
    costs.sort_unstable();
    costs[10]
}

#[test]
fn that_rows_are_new_costs_a_byte_or_two_a_row() {
    let ((mut seen, mut one), (mut new, mut other)) = (full_since(Some(1_000_000)), full_since(Some(0)));
    assert!(new.screen().contains("since you looked") && new.screen().lines().filter(|line| line.chars().nth(1) == Some('+')).count() > 30);
    for (desk, screen) in [(&seen, &mut one), (&new, &mut other)] {
        cost(desk, screen);
    }
    assert_eq!(middle(&mut new, &mut other, 1), middle(&mut seen, &mut one, 1), "moving costs the same");
    let (with, without) = (middle(&mut new, &mut other, 60), middle(&mut seen, &mut one, 60));
    assert!(with <= without + 2, "scrolling costs {with} bytes with new rows and {without} without");
}

#[test]
fn holding_j_costs_the_lists_bytes_alone() {
    let (mut desk, mut screen) = full();
    cost(&desk, &mut screen);
    let mut moves = Vec::new();
    for _ in 0..20 {
        desk.press("j");
        moves.push(cost(&desk, &mut screen));
    }
    moves.sort_unstable();
    assert!(moves[10] <= 264, "moving the selection costs {moves:?} bytes; half of htop's 528 is the most");
    for _ in 0..60 {
        desk.press("j");
        cost(&desk, &mut screen);
    }
    let mut scrolls = Vec::new();
    for _ in 0..20 {
        desk.press("j");
        scrolls.push(cost(&desk, &mut screen));
    }
    scrolls.sort_unstable();
    assert!(scrolls[10] <= 440, "scrolling costs {scrolls:?} bytes; 2.5 times less's 176 is the most");
}

#[test]
fn an_idle_minute_costs_next_to_nothing() {
    let (mut desk, mut screen) = full();
    cost(&desk, &mut screen);
    let mut bytes = 0;
    for second in 0..60 {
        if second % 5 == 0 {
            desk.hear(0, vec![midwatch::console::message::News::Claim { lag: Span::ZERO }]);
        }
        desk.wait(Span::from_secs(1));
        bytes += cost(&desk, &mut screen);
    }
    println!("an idle minute wrote {bytes} bytes");
    assert!(bytes <= 400 || desk.state.rows.len() > 30, "{bytes} bytes");
}

/// A timeline of short events and long ones.
fn mixed(width: u16, height: u16) -> Desk {
    let mut told = Told::new(4, "big", &[system("shop", "The shop", "service", &[])]);
    for n in 0..200 {
        let text = if n % 5 == 2 { "what went before, in many words. ".repeat(16) } else { String::new() };
        let intent = midwatch::model::intent::Intent::Change {
            system: "shop".parse().unwrap(),
            title: format!("deploy {n}").as_str().into(),
            text: text.as_str().into(),
            version: None,
            links: Vec::new(),
        };
        told.asks(["ci", "jo"][n % 2], ago(400 - i64::try_from(n).unwrap()), intent);
    }
    let mut desk = Desk::new(&["big"], "midwatch", width, height);
    desk.hear(0, told.snapshot());
    desk.press("3");
    desk
}

#[test]
fn on_the_timeline_the_detail_takes_what_it_needs_and_seldom_moves_the_list() {
    let mut desk = mixed(120, 36);
    let mut screen = Screen::new(120, 36, Abilities { synchronized: true, ..Abilities::default() });
    cost(&desk, &mut screen);
    let rows = |desk: &Desk| desk.state.panes.timeline.split.unwrap().list;
    let (mut steps, mut heights) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        desk.press("k");
        steps.push(cost(&desk, &mut screen));
        heights.push(rows(&desk));
    }
    assert!(heights.iter().all(|rows| *rows >= 15), "half of 29 rows at least: {heights:?}");
    assert!(heights.windows(2).filter(|pair| pair[0] != pair[1]).count() <= 1, "{heights:?}");
    steps.sort_unstable();
    // A step redraws the selected event's words, beside the two rows and the gutter.
    assert!(steps[30] <= 500, "{steps:?}");
}
