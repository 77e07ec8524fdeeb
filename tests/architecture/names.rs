//! Failures that others had (terminal, transport, bombs, storage): each that concerns what midwatch has
//! is guarded by a test that bears its number, `fn t3_…`.

use super::source::{code, sources};

/// The numbers that apply to this version.
const GUARDED: &[&str] = &[
    "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "b1", "b2", "p4", "p9",
    "p10", "p11", "p12",
];

#[test]
fn every_failure_of_others_that_concerns_us_has_a_test() {
    let all: String = sources(&["src", "tests"]).iter().map(|source| code(&source.text)).collect();
    let missing: Vec<&&str> = GUARDED.iter().filter(|number| !all.contains(&format!("fn {number}_"))).collect();
    assert!(missing.is_empty(), "no test is named after {missing:?}");
}
