//! What the gateway aims at.

use serde::{Deserialize, Serialize};

use super::{Measurement, Round, Who};

/// What a target is about.
#[derive(Debug, Clone, Copy)]
enum Aim {
    /// The ratio of processor time for a request.
    Cpu,
    /// The ratio of requests a second.
    Throughput,
    /// The ratio of the median latency.
    Latency,
    /// Statements for a request.
    Statements,
    /// The most memory under load, in MiB.
    Memory,
}

impl Aim {
    const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Throughput => "throughput",
            Self::Latency => "p50",
            Self::Statements => "statements",
            Self::Memory => "peak RSS, MiB",
        }
    }

    /// Whether more is better.
    const fn is_more_better(self) -> bool {
        matches!(self, Self::Throughput)
    }

    /// The figure of a measurement.
    fn value(self, measurement: &Measurement) -> Option<f64> {
        let gateway = measurement.side(Who::Gateway)?;
        match self {
            Self::Cpu => measurement.gateway_ratio(|round| round.cpu_us),
            Self::Throughput => measurement.gateway_ratio(Round::rate),
            Self::Latency => measurement.gateway_ratio(|round| round.p50_us),
            Self::Statements => gateway.statements,
            #[expect(clippy::cast_precision_loss, reason = "less memory than that")]
            Self::Memory => Some(gateway.peak_memory_kib as f64 / 1024.0),
        }
    }
}

/// The measurement, what is looked at, what must be reached, and what would be better still.
type Target = (&'static str, Aim, f64, f64);

/// All of them.
const TARGETS: [Target; 15] = [
    ("W1", Aim::Cpu, 1.3, 1.05),
    ("W1@128", Aim::Throughput, 1.1, 1.3),
    ("W1C", Aim::Cpu, 0.65, 0.5),
    ("W2", Aim::Cpu, 1.3, 1.05),
    ("W3", Aim::Cpu, 1.3, 1.05),
    ("W3@1", Aim::Statements, 3.0, 3.0),
    ("W3", Aim::Statements, 3.0, 2.9),
    ("W3@1", Aim::Latency, 1.2, 1.0),
    ("W4", Aim::Cpu, 1.2, 1.0),
    ("W5", Aim::Cpu, 1.3, 1.1),
    ("W6", Aim::Cpu, 1.3, 1.1),
    ("W1N", Aim::Cpu, 2.5, 1.9),
    ("W7 W1", Aim::Cpu, 2.0, 1.5),
    ("W6", Aim::Memory, 48.0, 24.0),
    ("W7 W1", Aim::Memory, 48.0, 24.0),
];

/// A target and what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// The measurement.
    pub(crate) measurement: String,
    /// What is looked at.
    pub(crate) aim: String,
    /// What must be reached.
    pub(crate) must: f64,
    /// What would be better still.
    pub(crate) stretch: f64,
    /// Whether more is better.
    pub(crate) more_is_better: bool,
    /// What was measured, if it was.
    pub(crate) value: Option<f64>,
    /// Whether that is enough.
    pub(crate) met: Option<bool>,
    /// Whether it is better still.
    pub(crate) stretched: Option<bool>,
}

/// What came of all targets.
pub(super) fn verdicts(measurements: &[Measurement]) -> Vec<Verdict> {
    let verdicts = TARGETS.into_iter().map(|(name, aim, must, stretch)| {
        let measurement = measurements.iter().find(|measured| measured.name == name);
        let value = measurement.and_then(|measured| aim.value(measured));
        let reaches = |bound: f64| {
            value.map(|value| {
                // As it is printed: a statement of the gateway's own may be among a thousand.
                let value = (value * 100.0).round() / 100.0;
                if aim.is_more_better() {
                    value >= bound
                } else {
                    value <= bound
                }
            })
        };
        Verdict {
            measurement: name.to_owned(),
            aim: aim.name().to_owned(),
            must,
            stretch,
            more_is_better: aim.is_more_better(),
            value,
            met: reaches(must),
            stretched: reaches(stretch),
        }
    });
    verdicts.collect()
}
