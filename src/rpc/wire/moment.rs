//! Times on the wire.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A time as it stands in an answer: ISO 8601 with `Z`, and six digits of a second's fraction
/// unless it is zero. In a request all six always stand there.
///
/// `Z`, an offset or none, which means UTC, and seconds or milliseconds since 1970 are understood.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    time: DateTime<Utc>,
    in_request: bool,
}

impl Moment {
    /// The time itself.
    #[must_use]
    pub const fn time(self) -> DateTime<Utc> {
        self.time
    }

    /// The same time as it stands in a request.
    #[must_use]
    pub(super) const fn in_request(self) -> Self {
        Self {
            in_request: true,
            ..self
        }
    }
}

impl From<DateTime<Utc>> for Moment {
    fn from(time: DateTime<Utc>) -> Self {
        Self {
            time,
            in_request: false,
        }
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.time == other.time
    }
}

impl Eq for Moment {}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has_fraction = self.time.timestamp_subsec_micros() != 0;
        let format = if self.in_request || has_fraction {
            SecondsFormat::Micros
        } else {
            SecondsFormat::Secs
        };
        serializer.serialize_str(&self.time.to_rfc3339_opts(format, true))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = match Value::deserialize(deserializer)? {
            Value::String(text) => parse(&text),
            Value::Number(number) => number.as_f64().and_then(since_1970),
            _ => None,
        };
        time.map(Self::from)
            .ok_or_else(|| de::Error::custom("a time"))
    }
}

fn parse(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(seconds) = text.parse() {
        return since_1970(seconds);
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"] {
        let text = text
            .strip_suffix('Z')
            .map_or_else(|| text.to_owned(), |text| format!("{text}+00:00"));
        if let Ok(time) = DateTime::parse_from_str(&text, format) {
            return Some(time.to_utc());
        }
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc())
}

/// The time so many seconds after 1970. Numbers too large for that are smaller parts of a second,
/// as Pydantic takes them.
fn since_1970(mut seconds: f64) -> Option<DateTime<Utc>> {
    if !seconds.is_finite() {
        return None;
    }
    while seconds.abs() > 2e10 {
        seconds /= 1000.0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is bounded above, and less than a microsecond is nothing here"
    )]
    let micros = (seconds * 1e6).round() as i64;
    DateTime::from_timestamp_micros(micros)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Option<String> {
        let moment: Moment = serde_json::from_value(value).ok()?;
        Some(serde_json::to_value(moment).unwrap().as_str()?.to_owned())
    }

    #[test]
    fn every_form_of_a_time_is_understood() {
        for value in [
            json!("2025-01-02T03:04:05Z"),
            json!("2025-01-02T03:04:05.000000Z"),
            json!("2025-01-02T03:04:05+00:00"),
            json!("2025-01-02T05:04:05+0200"),
            json!("2025-01-02 05:04:05+02"),
            json!("2025-01-02T03:04:05"),
            json!(1_735_787_045),
            json!("1735787045"),
            json!(1_735_787_045_000_i64),
        ] {
            let time = read(value.clone());
            assert_eq!(time.as_deref(), Some("2025-01-02T03:04:05Z"), "{value}");
        }
        for value in [json!("yesterday"), json!(true), json!(null), json!("")] {
            assert_eq!(read(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn an_answer_has_a_fraction_where_there_is_one_and_a_request_always() {
        let time = json!("2025-01-02T03:04:05.120Z");
        let moment: Moment = serde_json::from_value(time).unwrap();
        assert_eq!(json!(moment), json!("2025-01-02T03:04:05.120000Z"));
        let moment: Moment = serde_json::from_value(json!(0)).unwrap();
        assert_eq!(json!(moment), json!("1970-01-01T00:00:00Z"));
        assert_eq!(
            json!(moment.in_request()),
            json!("1970-01-01T00:00:00.000000Z")
        );
    }
}
