//! Numbers of a server about itself, for `/metrics` in Prometheus' text format (version 0.0.4).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::store::{Head, Health};

/// Counted where it happens, read when somebody asks.
#[derive(Debug, Default)]
pub struct Metrics {
    pub appended: AtomicU64,
    pub append_failures: AtomicU64,
    pub refused: AtomicU64,
    pub observations: AtomicU64,
    pub connections: AtomicU64,
    pub turned_away: AtomicU64,
    pub strangers_turned_away: AtomicU64,
    pub keys_turned_away: AtomicU64,
    pub attempts_refused: AtomicU64,
    pub throttled: AtomicU64,
    pub tls_opened: AtomicU64,
    pub tls_failed: AtomicU64,
    pub sessions: AtomicU64,
    pub subscribers: AtomicU64,
    pub lapses: AtomicU64,
    pub snapshots: AtomicU64,
    pub frames_out: AtomicU64,
    pub bytes_out: AtomicU64,
    pub frames_in: AtomicU64,
    pub malformed: AtomicU64,
    pub lag_micros: AtomicU64,
    pub clock_behind_micros: AtomicU64,
    pub open_alerts: AtomicU64,
    pub unmapped: AtomicU64,
    /// How long the oldest append has waited for the disk.
    pub waiting_micros: AtomicU64,
    /// What is wrong with the server itself.
    pub wrong: AtomicU64,
    trouble: Mutex<Option<String>>,
}

pub fn count(counter: &AtomicU64) {
    add(counter, 1);
}

pub fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

pub fn drop_one(gauge: &AtomicU64) {
    gauge.fetch_sub(1, Ordering::Relaxed);
}

pub fn set(gauge: &AtomicU64, to: u64) {
    gauge.store(to, Ordering::Relaxed);
}

impl Metrics {
    /// Why nothing can be kept now, if so, in words.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_trouble(&self, words: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    pub fn render(&self, head: Head, health: &Health) -> String {
        let mut out = String::new();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed).to_string();
        let seconds = |micros: &AtomicU64| {
            let micros = micros.load(Ordering::Relaxed);
            format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
        };
        let mut line = |name: &str, kind: &str, help: &str, value: String| {
            // Writing to a string does not fail.
            let _ = writeln!(out, "# HELP midwatch_{name} {help}\n# TYPE midwatch_{name} {kind}\nmidwatch_{name} {value}");
        };
        line("log_head", "gauge", "Sequence of the last durable event.", head.sequence.0.to_string());
        line("log_base", "gauge", "Sequence of the first event that is held.", head.base.0.to_string());
        line("log_bytes", "gauge", "Size of the log on disk.", health.bytes.to_string());
        line("log_failing", "gauge", "1 while nothing can be appended.", u8::from(health.failing.is_some() || self.trouble().is_some()).to_string());
        line("append_queue", "gauge", "Appends that wait for a commit.", health.queued.to_string());
        line("index_backlog", "gauge", "Events that the full-text index has not reached.", health.unindexed.to_string());
        line("events_appended_total", "counter", "Events made durable since the start.", of(&self.appended));
        line("append_failures_total", "counter", "Appends that failed.", of(&self.append_failures));
        line("requests_refused_total", "counter", "What clients asked for and did not get.", of(&self.refused));
        line("observations_total", "counter", "Observations that came in.", of(&self.observations));
        line("open_alerts", "gauge", "Alerts that are open now.", of(&self.open_alerts));
        line("unmapped_alerts", "gauge", "Open alerts that no mapping claims.", of(&self.unmapped));
        line("connections", "gauge", "Open connections.", of(&self.connections));
        line("connections_turned_away_total", "counter", "Connections beyond the limit.", of(&self.turned_away));
        line("strangers_turned_away_total", "counter", "Connections of an address that has too many of unknown ones.", of(&self.strangers_turned_away));
        line("keys_turned_away_total", "counter", "Connections of a key that has too many.", of(&self.keys_turned_away));
        line("attempts_refused_total", "counter", "Requests of an address that has to wait after failed attempts.", of(&self.attempts_refused));
        line("messages_throttled_total", "counter", "Messages that waited for the next second.", of(&self.throttled));
        line("tls_handshakes_total", "counter", "TLS connections that came about.", of(&self.tls_opened));
        line("tls_failures_total", "counter", "TLS connections that did not.", of(&self.tls_failed));
        line("sessions", "gauge", "Open WebSockets.", of(&self.sessions));
        line("subscribers", "gauge", "Sessions that are subscribed.", of(&self.subscribers));
        line("subscriber_lapses_total", "counter", "Times that a slow subscriber was dropped to a snapshot.", of(&self.lapses));
        line("snapshots_total", "counter", "Snapshots sent.", of(&self.snapshots));
        line("frames_sent_total", "counter", "Frames sent.", of(&self.frames_out));
        line("frame_bytes_sent_total", "counter", "Bytes of the frames sent.", of(&self.bytes_out));
        line("frames_received_total", "counter", "Frames received.", of(&self.frames_in));
        line("frames_malformed_total", "counter", "Frames that could not be read.", of(&self.malformed));
        line("lag_seconds", "gauge", "From an event's recording until it was durable, the last time.", seconds(&self.lag_micros));
        line("health_wrong", "gauge", "What is wrong with the server itself; `midwatch servers` says what.", of(&self.wrong));
        line("clock_behind_seconds", "gauge", "How far the wall clock is behind what was recorded.", seconds(&self.clock_behind_micros));
        out
    }
}
