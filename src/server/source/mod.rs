//! Sources that are asked: an Alertmanager, a Prometheus, each polled gently, each with its own state.
