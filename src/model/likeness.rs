//! What makes two events the same thing again: their kind, system and title, the title's numbers left aside. A run of
//! them is one line on a screen.

/// A number that events share when they say the same; never 0. Differing ones rarely share it.
pub fn likeness(kind: &str, system: &str, title: &str) -> u32 {
    of_bytes(kind.as_bytes(), system.as_bytes(), title.as_bytes())
}

/// The same, of UTF-8 that nobody has checked yet.
pub fn of_bytes(kind: &[u8], system: &[u8], title: &[u8]) -> u32 {
    // FNV-1a. The title's digits are left out, so that `91 % full` and `92 % full` are alike.
    let mut hash = 0x811c_9dc5_u32;
    let title = title.iter().filter(|byte| !byte.is_ascii_digit());
    for byte in kind.iter().chain(&[0]).chain(system).chain(&[0]).chain(title) {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_tell_things_apart_and_words_do() {
        let one = likeness("check.changed", "shop/web-1", "disk 91 % full");
        assert_eq!(one, likeness("check.changed", "shop/web-1", "disk 100 % full"));
        assert_ne!(one, likeness("check.changed", "shop/web-2", "disk 91 % full"));
        assert_ne!(one, likeness("check.changed", "shop/db", "disk 91 % full"));
        assert_ne!(one, likeness("alert.opened", "shop/web-1", "disk 91 % full"));
        assert_ne!(likeness("a", "b", "cd"), likeness("a", "bc", "d"));
    }
}
