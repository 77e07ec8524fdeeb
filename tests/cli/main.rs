//! The program as scripts and people run it: real processes, a home folder of their own, and what they
//! print, ask and end with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what stands between the tests is part of them: failing there is failing the test"
)]

mod check;
mod codes;
mod first;
mod grants;
mod home;
mod hostile;
mod keys;
mod offline;
mod verbs;
