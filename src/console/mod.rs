//! The console: what a person sees and types.

pub mod keymap;
pub mod screen;
pub mod theme;
