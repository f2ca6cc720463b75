//! Reading values as forgivingly as Sentry does.
//!
//! Sentry parses arguments with Pydantic 1, which takes `"7"`, `7.9` and `true` for whole numbers,
//! `"yes"`, `"on"` and `1` for truth, and numbers for texts. What it refuses is refused here: a
//! text is no list, and null is nothing but itself.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};
use serde_json::{Map, Value};

use crate::domain::{OrganizationId, ProjectId, UserId, UserOptionId};

/// A type that is read forgivingly.
pub(super) trait Loose: Sized {
    /// Reads a value of the type.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Reads a field forgivingly; for `deserialize_with`.
pub(super) fn read<'de, D: Deserializer<'de>, T: Loose>(deserializer: D) -> Result<T, D::Error> {
    T::read(deserializer)
}

/// A value inside another that was read forgivingly.
pub(super) struct Of<T>(pub(super) T);

impl<'de, T: Loose> Deserialize<'de> for Of<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

impl<T: Loose> Loose for Vec<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<Of<T>>::deserialize(deserializer)?;
        Ok(items.into_iter().map(|item| item.0).collect())
    }
}

impl<T: Loose + Ord> Loose for BTreeSet<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<T>::read(deserializer)?.into_iter().collect())
    }
}

impl<T: Loose> Loose for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<Of<T>>::deserialize(deserializer)?;
        Ok(value.map(|value| value.0))
    }
}

/// What a scalar is made of: each form that JSON has for one, where `None` is refused.
trait Scalar: Sized {
    const EXPECTED: &'static str;
    fn from_bool(value: bool) -> Option<Self>;
    fn from_int(value: i64) -> Option<Self>;
    fn from_float(value: f64) -> Option<Self>;
    fn from_text(text: &str) -> Option<Self>;
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: Scalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        T::from_bool(value).ok_or_else(|| E::custom(T::EXPECTED))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        T::from_int(value).ok_or_else(|| E::custom(T::EXPECTED))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        let value = i64::try_from(value).ok().and_then(T::from_int);
        value.ok_or_else(|| E::custom(T::EXPECTED))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        T::from_float(value).ok_or_else(|| E::custom(T::EXPECTED))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::custom(T::EXPECTED))
    }
}

fn scalar<'de, D: Deserializer<'de>, T: Scalar>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(ScalarVisitor(PhantomData))
}

impl Scalar for i64 {
    const EXPECTED: &'static str = "a whole number";

    fn from_bool(value: bool) -> Option<Self> {
        Some(Self::from(value))
    }

    fn from_int(value: i64) -> Option<Self> {
        Some(value)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "cutting off the fraction is what is wanted, and the range is checked"
    )]
    fn from_float(value: f64) -> Option<Self> {
        let range = (Self::MIN as f64)..(Self::MAX as f64);
        range.contains(&value).then_some(value as Self)
    }

    fn from_text(text: &str) -> Option<Self> {
        // Python reads `1_000` as a number, and takes no notice of space around one.
        let text = text.trim();
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let is_grouped = digits
            .split('_')
            .all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
        is_grouped
            .then(|| text.replace('_', "").parse().ok())
            .flatten()
    }
}

impl Scalar for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }

    fn from_int(value: i64) -> Option<Self> {
        match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    #[expect(clippy::float_cmp, reason = "nothing but these two numbers is meant")]
    fn from_float(value: f64) -> Option<Self> {
        [(0.0, false), (1.0, true)]
            .into_iter()
            .find_map(|(number, truth)| (number == value).then_some(truth))
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.to_lowercase().as_str() {
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            _ => None,
        }
    }
}

impl Scalar for String {
    const EXPECTED: &'static str = "a text";

    fn from_bool(value: bool) -> Option<Self> {
        Some(if value { "True" } else { "False" }.to_owned())
    }

    fn from_int(value: i64) -> Option<Self> {
        Some(value.to_string())
    }

    fn from_float(value: f64) -> Option<Self> {
        Some(format!("{value:?}"))
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

macro_rules! scalars {
    ($($name:ty),*) => {$(
        impl Loose for $name {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                scalar(deserializer)
            }
        }
    )*};
}

macro_rules! ids {
    ($($name:ident),*) => {$(
        impl Loose for $name {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                scalar(deserializer).map(Self)
            }
        }
    )*};
}

scalars!(i64, bool, String);
ids!(UserId, OrganizationId, ProjectId, UserOptionId);

/// Makes types forgiving that say themselves how they are read.
macro_rules! as_deserialized {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::rpc::wire::loose::Loose for $name {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
        }
    )*};
}

pub(super) use as_deserialized;

/// Reads what must be an object. Left to itself, serde takes an array for the fields of a struct
/// in their order.
pub(super) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    let object = Map::deserialize(deserializer)?;
    serde_json::from_value(Value::Object(object)).map_err(de::Error::custom)
}

/// Makes types forgiving that are objects and say themselves how they are read.
macro_rules! objects {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::rpc::wire::loose::Loose for $name {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::rpc::wire::loose::object(deserializer)
            }
        }
    )*};
}

pub(super) use objects;

as_deserialized!(Value);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_as<T: Loose>(value: Value) -> Option<T> {
        T::read(value).ok()
    }

    #[test]
    fn whole_numbers_are_what_python_makes_of_them() {
        for (value, number) in [
            (json!(7), 7),
            (json!(-7), -7),
            (json!("7"), 7),
            (json!(" +7 "), 7),
            (json!("1_000"), 1000),
            (json!(1.7), 1),
            (json!(-1.7), -1),
            (json!(true), 1),
        ] {
            assert_eq!(read_as::<i64>(value.clone()), Some(number), "{value}");
        }
        for value in [
            json!(null),
            json!("1.7"),
            json!(""),
            json!("_1"),
            json!("+-1"),
            json!("seven"),
            json!(1e300),
            json!(u64::MAX),
            json!([7]),
        ] {
            assert_eq!(read_as::<i64>(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn truth_is_what_pydantic_takes_for_it() {
        for value in [json!(true), json!(1), json!(1.0), json!("YES"), json!("on")] {
            assert_eq!(read_as::<bool>(value.clone()), Some(true), "{value}");
        }
        for value in [json!(false), json!(0), json!("off"), json!("n"), json!("0")] {
            assert_eq!(read_as::<bool>(value.clone()), Some(false), "{value}");
        }
        for value in [json!(null), json!(2), json!(""), json!(" yes"), json!([])] {
            assert_eq!(read_as::<bool>(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn texts_may_be_numbers_and_lists_may_be_nothing_else() {
        assert_eq!(read_as::<String>(json!(1.5)), Some("1.5".to_owned()));
        assert_eq!(read_as::<String>(json!(null)), None);
        assert_eq!(read_as(json!(["1", 2])), Some(vec![UserId(1), UserId(2)]));
        assert_eq!(read_as::<Vec<String>>(json!("a")), None);
        assert_eq!(read_as::<Vec<i64>>(json!([null])), None);
        assert_eq!(read_as::<Option<i64>>(json!(null)), Some(None));
    }
}
