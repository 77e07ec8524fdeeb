//! The console: what a person sees and what their keys do.
//!
//! `runtime` holds the only loop that waits. Whatever happens becomes a [`message::Message`]; `update`
//! turns it into changes of [`state::State`] and into [`effect::Effect`]s, which are data; `draw` paints
//! the state and changes nothing.

pub mod effect;
pub mod input;
pub mod kept;
pub mod keymap;
pub mod linear;
pub mod list;
pub mod looked;
pub mod message;
pub mod notice;
pub mod overlay;
pub mod pane;
pub mod past;
pub mod pending;
pub mod presence;
pub mod reload;
pub mod runtime;
pub mod screen;
pub mod session;
pub mod sight;
pub mod state;
pub mod theme;
pub mod timeline;
pub mod travel;
pub mod views;

pub mod draw;
mod update;
