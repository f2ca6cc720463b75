//! The table as a picture: for each load the processor time of the gateway beside what it is
//! compared with, as bars, and what must be reached, as a line.
//!
//! The colours are those of the reader's light or dark scheme, the texts are texts, and title and
//! description say in words what is to be seen.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::report::{Measurement, Report, Who};
use crate::say;

/// The width of the picture, and of the column of names and that of numbers beside the bars.
const WIDTH: f64 = 760.0;
const NAMES: f64 = 250.0;
const NUMBERS: f64 = 60.0;
/// The height of a load, of a bar, and of what stands above and below all of them.
const ROW: f64 = 40.0;
const BAR: f64 = 13.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 34.0;

/// Ratios above this have bars that are cut here, so that the others can be told apart.
const LONGEST: f64 = 4.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328 } \
.title { font-size: 16px; font-weight: 600 } \
.small { font-size: 11px; fill: #59636e } \
.gateway { fill: #0969da } .hand, .bare { fill: #8c959f } .constant { fill: #d0d7de } \
.unit { stroke: #59636e; stroke-width: 1 } .goal { stroke: #cf222e; stroke-width: 2 } \
@media (prefers-color-scheme: dark) { \
text { fill: #e6edf3 } .small { fill: #9198a1 } \
.gateway { fill: #4493f8 } .hand, .bare { fill: #6e7681 } .constant { fill: #3d444d } \
.unit { stroke: #9198a1 } .goal { stroke: #f85149 } }";

/// Draws a file that `run --json` has written.
pub(crate) fn run(file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let report: Report = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not a report", file.display()))?;
    say(draw(&report).trim_end());
    Ok(())
}

/// One load of the picture.
struct Bars<'a> {
    measurement: &'a Measurement,
    gateway: f64,
    constant: Option<f64>,
    goal: Option<f64>,
}

impl<'a> Bars<'a> {
    fn of(report: &Report, measurement: &'a Measurement) -> Option<Self> {
        let goal = report
            .targets
            .iter()
            .find(|target| target.measurement == measurement.name && target.aim == "CPU");
        let constant = (measurement.base == Who::Hand)
            .then(|| measurement.ratio(Who::Constant, Who::Hand, |round| round.cpu_us));
        Some(Self {
            measurement,
            gateway: measurement.gateway_ratio(|round| round.cpu_us)?,
            constant: constant.flatten(),
            goal: goal.map(|target| target.must),
        })
    }

    /// The load in words.
    fn sentence(&self) -> String {
        let base = match self.measurement.base {
            Who::Hand => "the handler by hand",
            Who::Constant => "the constant handler",
            Who::Stock => "the same by the manuals",
            Who::Bare | Who::Gateway => "the gateway with all off that can be",
        };
        format!(
            "{} ({}): {:.2} times {base}.",
            self.measurement.name, self.measurement.title, self.gateway
        )
    }
}

/// The picture of a report.
fn draw(report: &Report) -> String {
    let bars = report.measurements.iter();
    let bars: Vec<Bars<'_>> = bars
        .filter_map(|measurement| Bars::of(report, measurement))
        .collect();
    let widest = bars
        .iter()
        .flat_map(|bars| [Some(bars.gateway), bars.goal, Some(1.0)])
        .flatten()
        .fold(1.0, f64::max)
        .min(LONGEST);
    let scale = (WIDTH - NAMES - NUMBERS) / widest;
    #[expect(clippy::cast_precision_loss, reason = "a few rows")]
    let height = TOP + bars.len() as f64 * ROW + BOTTOM;
    let described: Vec<String> = bars.iter().map(Bars::sentence).collect();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title description\">\n\
         <title id=\"title\">Processor time per request</title>\n\
         <desc id=\"description\">{}</desc>\n<style>{STYLE}</style>\n",
        escaped(&described.join(" "))
    );
    write_text(&mut out, (0.0, 20.0), "title", "Processor time per request");
    let caption = format!(
        "1 = the same by hand (W7: a constant); {} users; less is better; the red line is the target; bars end at {LONGEST}",
        report.users
    );
    write_text(&mut out, (0.0, 40.0), "small", &caption);
    let mut y = TOP;
    for bars in &bars {
        write_text(&mut out, (0.0, y + 11.0), "", &bars.measurement.name);
        write_text(&mut out, (0.0, y + 26.0), "small", &bars.measurement.title);
        let length = bars.gateway.min(LONGEST) * scale;
        bar(&mut out, y, length, "gateway");
        let number = format!("{:.2}", bars.gateway);
        let end = NAMES + length + 6.0;
        write_text(&mut out, (end, y + 11.0), "", &number);
        bar(&mut out, y + BAR + 2.0, scale, bars.measurement.base.name());
        if let Some(constant) = bars.constant {
            bar(&mut out, y + BAR + 2.0, constant * scale, "constant");
        }
        if let Some(goal) = bars.goal {
            line(
                &mut out,
                NAMES + goal * scale,
                (y - 2.0, y + 2.0 * BAR + 4.0),
                "goal",
            );
        }
        y += ROW;
    }
    line(&mut out, NAMES, (TOP - 6.0, y - 6.0), "unit");
    legend(&mut out, y + 12.0);
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String, y: f64) {
    let mut x = NAMES;
    for (class, name) in [
        ("gateway", "user-gateway"),
        ("hand", "by hand"),
        ("constant", "a constant"),
    ] {
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\"/>"
        );
        write_text(out, (x + 18.0, y + 10.0), "small", name);
        x += 130.0;
    }
}

fn bar(out: &mut String, y: f64, width: f64, class: &str) {
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{NAMES}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
    );
}

fn line(out: &mut String, x: f64, (top, bottom): (f64, f64), class: &str) {
    let _ = writeln!(
        out,
        "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>"
    );
}

fn write_text(out: &mut String, (x, y): (f64, f64), class: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}

/// A text as XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Engine, Round, SideReport, Verdict};

    fn side(who: Who, cpu_us: f64) -> SideReport {
        let round = Round {
            requests: 100,
            seconds: 1.0,
            cpu_us,
            database_cpu_us: None,
            p50_us: 1.0,
            p99_us: 2.0,
        };
        SideReport {
            rounds: vec![round],
            ..SideReport::new(who)
        }
    }

    fn report() -> Report {
        Report {
            processors: 2,
            users: 1_000,
            rounds: 1,
            seconds: 1.0,
            measurements: vec![Measurement {
                name: "W1".to_owned(),
                title: "one <user>".to_owned(),
                engine: Engine::Postgres,
                connections: 32,
                base: Who::Hand,
                sides: vec![
                    side(Who::Constant, 10.0),
                    side(Who::Hand, 40.0),
                    side(Who::Gateway, 50.0),
                ],
            }],
            failures: Vec::new(),
            targets: vec![Verdict {
                measurement: "W1".to_owned(),
                aim: "CPU".to_owned(),
                must: 1.3,
                stretch: 1.05,
                more_is_better: false,
                value: Some(1.25),
                met: Some(true),
                stretched: Some(false),
            }],
        }
    }

    #[test]
    fn a_picture_says_in_words_what_it_shows() {
        let picture = draw(&report());
        for said in [
            "<title id=\"title\">",
            "W1 (one &lt;user&gt;): 1.25 times the handler by hand.",
            "prefers-color-scheme: dark",
            ">1.25</text>",
            "class=\"goal\"",
        ] {
            assert!(picture.contains(said), "{said}: {picture}");
        }
        assert!(!picture.contains("<user>"));
    }

    #[test]
    fn a_picture_is_drawn_from_what_a_run_writes() {
        let text = serde_json::to_string(&report()).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(draw(&read), draw(&report()));
    }

    #[test]
    fn the_table_names_every_load_side_and_target() {
        let table = report().table();
        for said in [
            "one <user>",
            "gateway",
            "hand",
            "constant",
            "1.25",
            "<= 1.3",
            "met",
        ] {
            assert!(table.contains(said), "{said}: {table}");
        }
    }
}
