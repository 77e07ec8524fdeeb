//! Load: how many processes run or wait, for each core, over the last five minutes.

use serde::{Deserialize, Serialize};

use super::{Context, Outcome, metric, proc_text, threshold};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// For each core.
    pub warning: f64,
    pub critical: f64,
}

impl Default for Load {
    fn default() -> Load {
        Load { warning: 2.0, critical: 4.0 }
    }
}

pub async fn run(load: &Load, _: &Context) -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match proc_text("/proc/loadavg") {
        Ok(text) => judge(load, &text, cores),
        Err(outcome) => outcome,
    }
}

fn judge(load: &Load, text: &str, cores: usize) -> Outcome {
    let mut numbers = text.split_whitespace().map_while(|word| word.parse::<f64>().ok());
    let (Some(one), Some(five), Some(fifteen)) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Outcome::unknown("/proc/loadavg is not as Linux writes it");
    };
    let each = five / threshold::float(u64::try_from(cores).unwrap_or(1).max(1));
    let mut five_metric = metric("load5", five, "");
    let scale = threshold::float(u64::try_from(cores).unwrap_or(1));
    five_metric.warning = (load.warning * scale).to_string().into();
    five_metric.critical = (load.critical * scale).to_string().into();
    let core_words = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
    Outcome::new(threshold::status(each > load.warning, each > load.critical), format!("load {five:.2} over 5 min on {core_words}, {each:.2} each")).with(vec![
        metric("load1", one, ""),
        five_metric,
        metric("load15", fifteen, ""),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::severity::Status;

    #[test]
    fn load_is_judged_for_each_core() {
        let judged = |text| judge(&Load::default(), text, 4);
        let outcome = judged("0.50 9.00 3.00 2/345 6789\n");
        assert_eq!((outcome.status, outcome.text.as_str()), (Status::Warning, "load 9.00 over 5 min on 4 cores, 2.25 each"));
        assert_eq!(&*outcome.metrics[1].critical, "16");
        assert_eq!(judged("99 0.1 3").status, Status::Ok);
        assert_eq!(judged("0 17 0").status, Status::Critical);
        assert_eq!(judged("").status, Status::Unknown);
    }

    #[tokio::test]
    async fn this_machine_has_a_load() {
        assert_eq!(run(&Load::default(), &super::super::test_context(5_000)).await.metrics.len(), 3);
    }
}
