//! What somebody may do, in a sentence for people who do not know the names of rights.

use super::{Right, Rights, Scope};
use crate::model::words::listed;

impl Right {
    /// "may …".
    pub const fn does(self) -> &'static str {
        match self {
            Right::Read => "see",
            Right::Respond => "respond to alerts",
            Right::Review => "review",
            Right::Act => "run actions",
            Right::Administer => "administer",
            Right::Observe => "report how things are",
            Right::Federate => "pass on what happens",
            Right::SpeakFor => "speak for its own people",
        }
    }
}

impl Rights {
    /// "see and respond to alerts".
    pub fn does(self) -> String {
        if self == Rights::ALL {
            return "do everything".to_owned();
        }
        listed(self.iter().map(Right::does))
    }
}

impl Scope {
    /// "all systems", "shop/** and web".
    pub fn where_in_words(&self) -> String {
        if self.names_all() { "all systems".to_owned() } else { listed(self.systems.iter().map(ToString::to_string)) }
    }

    /// "see and respond to alerts on shop/**", whenever that ends.
    pub fn sentence(&self) -> String {
        if self.rights.is_empty() || self.systems.is_empty() {
            return "nothing".to_owned();
        }
        let joined = if self.rights == Rights::of([Right::Read]) { "" } else { " on" };
        format!("{}{joined} {}", self.rights.does(), self.where_in_words())
    }
}
