//! Memory: what could still be had without swapping (`MemAvailable`), and swap.

use serde::{Deserialize, Serialize};

use super::threshold::{Amount, bytes};
use super::{Context, Outcome, metric, proc_text, threshold};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// When less than this is available.
    pub warning: Amount,
    pub critical: Amount,
    /// When less than this of the swap is free. Not set: swap is shown and does not count.
    pub swap_warning: Option<Amount>,
    pub swap_critical: Option<Amount>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { warning: Amount::Percent(10.0), critical: Amount::Percent(5.0), swap_warning: None, swap_critical: None }
    }
}

pub async fn run(memory: &Memory, _: &Context) -> Outcome {
    match proc_text("/proc/meminfo") {
        Ok(text) => judge(memory, &text),
        Err(outcome) => outcome,
    }
}

fn judge(memory: &Memory, text: &str) -> Outcome {
    let field = |name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
    };
    let Some(total) = field("MemTotal") else {
        return Outcome::unknown("/proc/meminfo does not say how much memory there is");
    };
    // Kernels before 3.14 and some containers do not say what is available.
    let available = field("MemAvailable").or_else(|| Some(field("MemFree")? + field("Buffers").unwrap_or(0.0) + field("Cached").unwrap_or(0.0)));
    let Some(available) = available else {
        return Outcome::unknown("/proc/meminfo does not say how much memory is available");
    };
    let (swap, swap_free) = (field("SwapTotal").unwrap_or(0.0), field("SwapFree").unwrap_or(0.0));
    let short = |limit: Option<Amount>| swap > 0.0 && limit.is_some_and(|limit| limit.undercut(swap_free, swap));
    let status = threshold::status(
        memory.warning.undercut(available, total) || short(memory.swap_warning),
        memory.critical.undercut(available, total) || short(memory.swap_critical),
    );
    let share = if total > 0.0 { available / total * 100.0 } else { 0.0 };
    let mut words = format!("{} of {} available ({share:.0}%)", bytes(available), bytes(total));
    if swap > 0.0 {
        words.push_str(&format!(", {} of {} swap used", bytes(swap - swap_free), bytes(swap)));
    }
    let mut main = metric("available", available, "B");
    main.warning = memory.warning.as_range(total).into();
    main.critical = memory.critical.as_range(total).into();
    Outcome::new(status, words).with(vec![main, metric("total", total, "B"), metric("swap_used", swap - swap_free, "B")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::severity::Status;

    const TEXT: &str =
        "MemTotal:        1000 kB\nMemFree:          10 kB\nMemAvailable:     80 kB\nBuffers: 5 kB\nCached: 100 kB\nSwapTotal: 100 kB\nSwapFree: 1 kB\n";

    #[test]
    fn available_memory_counts_and_swap_when_asked() {
        assert_eq!(judge(&Memory::default(), TEXT).status, Status::Warning);
        let strict = Memory { swap_critical: Some(Amount::Percent(2.0)), ..Memory::default() };
        assert_eq!(judge(&strict, TEXT).status, Status::Critical);
        let amounts = Memory { warning: Amount::Bytes(1.0), critical: Amount::Bytes(1.0), ..Memory::default() };
        assert_eq!(judge(&amounts, TEXT).status, Status::Ok);
    }

    #[test]
    fn what_a_container_leaves_out_is_made_up_for_or_said() {
        assert_eq!(
            judge(&Memory::default(), &TEXT.replace("MemAvailable", "Other")).text,
            "115.0 KiB of 1000.0 KiB available (12%), 99.0 KiB of 100.0 KiB swap used"
        );
        assert_eq!(judge(&Memory::default(), "").status, Status::Unknown);
        assert_eq!(judge(&Memory::default(), "MemTotal: 5 kB").status, Status::Unknown);
    }

    #[tokio::test]
    async fn this_machine_has_memory() {
        assert_eq!(run(&Memory::default(), &super::super::test_context(5_000)).await.metrics.len(), 3);
    }
}
