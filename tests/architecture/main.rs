//! The shape of the source, held: who may know whom, what the core does not know, that the map is
//! complete, how long files may be, and that each failure of others that concerns us has its test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what stands between the tests is part of them: failing there is failing the test"
)]

mod knows;
mod names;
mod shape;
mod source;
