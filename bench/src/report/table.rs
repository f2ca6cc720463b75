//! The report as a table for people.

use std::fmt::Write as _;

use super::{Measurement, Report, Round, SideReport, Who};

impl Report {
    /// The table: ratios first, then what they are ratios of, then the targets.
    pub(crate) fn table(&self) -> String {
        let mut out = format!(
            "{} users, {} rounds of {} s, {} processors; ratios are to \
             the side that is named\n\n",
            self.users, self.rounds, self.seconds, self.processors
        );
        let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
        rows.extend(self.measurements.iter().map(row));
        align(&mut out, &rows);
        out.push_str("\nServer CPU µs, database CPU µs, requests/s, p50 µs, p99 µs, RSS MiB\n\n");
        let sides = self.measurements.iter().flat_map(|measurement| {
            let sides = measurement.sides.iter();
            sides.map(|side| figures(&measurement.name, side))
        });
        align(&mut out, &sides.collect::<Vec<_>>());
        out.push_str("\nTargets\n\n");
        let targets = self.targets.iter().map(|target| {
            let sign = if target.more_is_better { ">=" } else { "<=" };
            let verdict = match (target.met, target.stretched) {
                (Some(true), Some(true)) => "met, and better",
                (Some(true), _) => "met",
                (Some(false), _) => "MISSED",
                (None, _) => "not measured",
            };
            vec![
                target.measurement.clone(),
                target.aim.clone(),
                target
                    .value
                    .map_or("-".to_owned(), |value| format!("{value:.2}")),
                format!("{sign} {}", target.must),
                format!("{sign} {}", target.stretch),
                verdict.to_owned(),
            ]
        });
        align(&mut out, &targets.collect::<Vec<_>>());
        out
    }
}

const HEAD: [&str; 11] = [
    "load",
    "what",
    "beside",
    "conns",
    "CPU",
    "rate",
    "p50",
    "p99",
    "constant",
    "stock",
    "statements",
];

fn row(measurement: &Measurement) -> Vec<String> {
    let ratio = |of: fn(&Round) -> f64| number(measurement.gateway_ratio(of));
    let other = |who| number(measurement.ratio(who, measurement.base, |round| round.cpu_us));
    let statements = |who| {
        let side = measurement.side(who)?;
        side.statements.map(|count| format!("{count:.2}"))
    };
    vec![
        measurement.name.clone(),
        measurement.title.clone(),
        measurement.base.name().to_owned(),
        measurement.connections.to_string(),
        ratio(|round| round.cpu_us),
        ratio(Round::rate),
        ratio(|round| round.p50_us),
        ratio(|round| round.p99_us),
        other(Who::Constant),
        other(Who::Stock),
        match (statements(Who::Gateway), statements(Who::Hand)) {
            (Some(gateway), Some(hand)) => format!("{gateway} ({hand})"),
            _ => "-".to_owned(),
        },
    ]
}

fn figures(name: &str, side: &SideReport) -> Vec<String> {
    #[expect(clippy::cast_precision_loss, reason = "less memory than that")]
    let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
    let has_database = side
        .rounds
        .iter()
        .any(|round| round.database_cpu_us.is_some());
    vec![
        name.to_owned(),
        side.who.name().to_owned(),
        format!("{:.1}", side.median(|round| round.cpu_us)),
        if has_database {
            let database = side.median(|round| round.database_cpu_us.unwrap_or(f64::NAN));
            format!("{database:.1}")
        } else {
            "-".to_owned()
        },
        format!("{:.0}", side.median(Round::rate)),
        format!("{:.0}", side.median(|round| round.p50_us)),
        format!("{:.0}", side.median(|round| round.p99_us)),
        mib(side.peak_memory_kib),
    ]
}

fn number(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// Appends rows whose columns stand below each other: the first three to the left, the others to
/// the right.
pub(crate) fn align(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column < 3 {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
