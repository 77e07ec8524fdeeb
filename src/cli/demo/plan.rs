//! In which order the lines are sent, so that thousands of them come in within seconds and what people
//! asked still meets the alert that they meant.
//!
//! A request on an alert names its episode, so the server must know of that before it is asked, and must
//! not hear of the alert's end before it has answered. Lines of different alerts do not wait for each
//! other: a [`Step`] holds all that can be said at once, and the requests that follow from it.

use std::collections::HashMap;
use std::sync::Arc;

use super::cast::Player;
use super::recording::{Ago, Line, Of, Said};

#[derive(Default, Debug)]
pub struct Step {
    /// Oldest first.
    pub said: Vec<Line>,
    /// To be asked when all that was said is known; oldest first.
    pub asked: Vec<Line>,
}

/// Where one span of the recording ends and the next begins. What is long past may be told in larger
/// disorder than what the timeline shows first.
const SPANS: [Ago; 2] = [Ago::days(1), Ago::mins(3 * 60)];

/// The steps for one server.
pub fn steps(player: &Player, lines: &[Line]) -> Vec<Step> {
    let mut out = Vec::new();
    let mine = lines.iter().filter(|line| line.server == player.name);
    let span = |line: &Line| SPANS.iter().filter(|edge| line.ago <= **edge).count();
    let mut spans: Vec<Vec<&Line>> = vec![Vec::new(); SPANS.len() + 1];
    for line in mine {
        if let Some(place) = spans.get_mut(span(line)) {
            place.push(line);
        }
    }
    for lines in spans {
        out.extend(rounds(player, &lines));
    }
    out
}

/// Round n holds what may be said after n answers about the same alert.
fn rounds(player: &Player, lines: &[&Line]) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    // How many rounds each alert has begun, and whether something was asked in the last of them.
    let mut begun: HashMap<Of, (usize, bool)> = HashMap::new();
    for line in lines {
        let (of, asks) = match &line.said {
            Said::Observed(observed) => {
                (player.machine(&observed.agent).and_then(|m| m.check(&observed.check)).map(|spec| alert(spec.system.as_str(), spec.check.as_str())), false)
            }
            Said::Alert(fired) => (Some(alert(&fired.system, &fired.alertname)), false),
            Said::Happened(_) => (None, false),
            Said::Asked(asked) => (asked.ask.of().cloned(), true),
        };
        let round = of.map_or(0, |of| {
            let (round, asked) = begun.entry(of).or_default();
            if *asked && !asks {
                *round += 1;
            }
            *asked = asks;
            *round
        });
        if out.len() <= round {
            out.resize_with(round + 1, Step::default);
        }
        if let Some(step) = out.get_mut(round) {
            if asks { step.asked.push((*line).clone()) } else { step.said.push((*line).clone()) }
        }
    }
    out
}

fn alert(system: &str, check: &str) -> Of {
    Of { system: Arc::from(system), check: Arc::from(check) }
}
