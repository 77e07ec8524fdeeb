//! Linear mode in the loop: lines in, lines out, and effects in between.

use std::io;

use super::{ConsoleError, Ends, Runtime};
use crate::model::time::Span;

/// The frame that lists are laid out for: no terminal's, since none is drawn on.
const PAGE: (u16, u16) = (100, 50);

impl Runtime {
    pub(super) fn prepare_lines(&mut self) {
        if self.linear.is_some() {
            self.state.linear = true;
            self.state.size = PAGE;
        }
    }

    pub(super) fn read_lines(&mut self, read: io::Result<Vec<u8>>) {
        if let Some(linear) = &mut self.linear {
            match read {
                Ok(bytes) => linear.feed(&bytes),
                Err(_) => linear.end_of_input(),
            }
        }
    }

    /// Takes the lines that wait, one after the other, with what each asks for.
    pub(super) async fn lines(&mut self) -> Result<Ends, ConsoleError> {
        while let Some(linear) = &mut self.linear {
            let Some(effects) = linear.work(&mut self.state) else { break };
            self.say_lines()?;
            if self.effects(effects).await? {
                return Ok(true);
            }
        }
        if self.linear.is_some() {
            self.say_lines()?;
        }
        Ok(!self.files.are_awaited() && self.linear.as_ref().is_some_and(|linear| linear.is_over(&self.state)))
    }

    /// Writes what is to be said.
    pub(super) fn say_lines(&mut self) -> Result<(), ConsoleError> {
        let mono = self.mono();
        let began = self.began;
        if let Some(linear) = &mut self.linear {
            self.state.clock(super::wall(), mono);
            linear.settle(&mut self.state, || Span::from(began.elapsed()));
            let text = linear.take();
            if !text.is_empty() {
                self.terminal.write(text.as_bytes())?;
            }
            self.last_frame = Some(std::time::Instant::now());
            self.stale = false;
        }
        Ok(())
    }

    /// Nothing more is said.
    pub(super) fn end_lines(&mut self) {
        if let Some(linear) = &mut self.linear {
            linear.end();
            // Whoever has gone does not hear it.
            let _ = self.terminal.write(linear.take().as_bytes());
        }
    }

    /// What a screen would do without words.
    pub(super) fn tell(&mut self, words: &str) {
        if let Some(linear) = &mut self.linear {
            linear.tell(words);
        }
    }

    pub(super) fn list_lines(&mut self) {
        if let Some(linear) = &mut self.linear {
            linear.redraw(&mut self.state);
        }
    }
}
