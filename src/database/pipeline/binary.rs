//! Values as PostgreSQL takes and gives them in binary.

use std::error::Error as StdError;
use std::slice;

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use fallible_iterator::FallibleIterator;
use postgres_protocol::types::{
    ArrayDimension, array_from_sql, array_to_sql, bool_from_sql, int2_from_sql, int4_from_sql,
    int8_from_sql, int8_to_sql, text_from_sql, text_to_sql, timestamp_from_sql, timestamp_to_sql,
};
use postgres_protocol::{IsNull, Oid};

use super::super::statement::{Parameter, TextList};
use crate::domain::{Error, Result};

/// The numbers by which PostgreSQL knows its types (`pg_type.dat`).
mod oid {
    use postgres_protocol::Oid;

    pub(super) const BOOL: Oid = 16;
    pub(super) const NAME: Oid = 19;
    pub(super) const INT8: Oid = 20;
    pub(super) const INT2: Oid = 21;
    pub(super) const INT4: Oid = 23;
    pub(super) const TEXT: Oid = 25;
    pub(super) const UNKNOWN: Oid = 705;
    pub(super) const TEXT_ARRAY: Oid = 1009;
    pub(super) const VARCHAR_ARRAY: Oid = 1015;
    pub(super) const BPCHAR: Oid = 1042;
    pub(super) const VARCHAR: Oid = 1043;
    pub(super) const TIMESTAMPTZ: Oid = 1184;
    /// Types from here on are those of extensions and of the database itself.
    pub(super) const FIRST_OF_OTHERS: Oid = 16_384;
}

/// Microseconds from the beginning of 1970 to that of 2000, from which PostgreSQL counts.
const EPOCH: i64 = 946_684_800_000_000;

type Cause = Box<dyn StdError + Send + Sync>;

/// Writes what stands for a parameter.
pub(super) fn write(parameter: Parameter<'_>, out: &mut BytesMut) -> Result<IsNull, Cause> {
    match parameter {
        Parameter::Id(id) => int8_to_sql(id, out),
        Parameter::Ids(ids) => array(ids, oid::INT8, out, |id, out| int8_to_sql(*id, out))?,
        Parameter::Text(text) => text_to_sql(text, out),
        Parameter::Texts(texts) => {
            array(texts, oid::TEXT, out, |text, out| text_to_sql(text, out))?;
        }
        Parameter::Moment(moment) => timestamp_to_sql(moment.timestamp_micros() - EPOCH, out),
    }
    Ok(IsNull::No)
}

fn array<T>(
    items: &[T],
    kind: Oid,
    out: &mut BytesMut,
    write: impl Fn(&T, &mut BytesMut),
) -> Result<(), Cause> {
    let dimension = ArrayDimension {
        len: i32::try_from(items.len())?,
        lower_bound: 1,
    };
    let write = |item, out: &mut BytesMut| {
        write(item, out);
        Ok(IsNull::No)
    };
    array_to_sql([dimension], kind, items, write, out)
}

/// A value that a column may hold.
pub(in super::super) trait Binary: Sized {
    /// Whether columns of a type hold such values.
    fn accepts(kind: Oid) -> bool;

    /// Reads a value; `None` is null.
    fn read(raw: Option<&[u8]>) -> Result<Self, Cause>;
}

impl<T: Binary> Binary for Option<T> {
    fn accepts(kind: Oid) -> bool {
        T::accepts(kind)
    }

    fn read(raw: Option<&[u8]>) -> Result<Self, Cause> {
        raw.map(|raw| T::read(Some(raw))).transpose()
    }
}

macro_rules! scalar {
    ($($type:ty: $oid:path, $read:path;)*) => {$(
        impl Binary for $type {
            fn accepts(kind: Oid) -> bool {
                kind == $oid
            }

            fn read(raw: Option<&[u8]>) -> Result<Self, Cause> {
                $read(present(raw)?)
            }
        }
    )*};
}

scalar! {
    bool: oid::BOOL, bool_from_sql;
    i16: oid::INT2, int2_from_sql;
    i32: oid::INT4, int4_from_sql;
    i64: oid::INT8, int8_from_sql;
}

impl Binary for String {
    fn accepts(kind: Oid) -> bool {
        is_text(kind)
    }

    fn read(raw: Option<&[u8]>) -> Result<Self, Cause> {
        text_from_sql(present(raw)?).map(str::to_owned)
    }
}

impl Binary for DateTime<Utc> {
    fn accepts(kind: Oid) -> bool {
        kind == oid::TIMESTAMPTZ
    }

    fn read(raw: Option<&[u8]>) -> Result<Self, Cause> {
        let since_epoch = timestamp_from_sql(present(raw)?)?.checked_add(EPOCH);
        let moment = since_epoch.and_then(Self::from_timestamp_micros);
        moment.ok_or_else(|| "a time out of range".into())
    }
}

impl Binary for TextList {
    fn accepts(kind: Oid) -> bool {
        matches!(kind, oid::TEXT_ARRAY | oid::VARCHAR_ARRAY)
    }

    fn read(raw: Option<&[u8]>) -> Result<Self, Cause> {
        let mut texts = array_from_sql(present(raw)?)?.values();
        // Not `collect`, which allocates by the claimed length of the array.
        let mut list = Vec::new();
        while let Some(text) = texts.next()? {
            list.push(String::read(text)?);
        }
        Ok(Self(list))
    }
}

/// Whether a column of a type holds text. Those of extensions, such as `citext`, do.
fn is_text(kind: Oid) -> bool {
    use oid::{BPCHAR, FIRST_OF_OTHERS, NAME, TEXT, UNKNOWN, VARCHAR};
    matches!(kind, VARCHAR | TEXT | BPCHAR | NAME | UNKNOWN) || kind >= FIRST_OF_OTHERS
}

fn present(raw: Option<&[u8]>) -> Result<&[u8], Cause> {
    raw.ok_or_else(|| "null".into())
}

/// The columns of a row, from the first to the last.
#[derive(Debug)]
pub(in super::super) struct BinaryRow<'a> {
    rest: &'a [u8],
    kinds: slice::Iter<'a, Oid>,
}

/// A column that cannot be read as what it should hold.
#[derive(Debug, thiserror::Error)]
#[error("a column of the type {kind} cannot be read: {cause}")]
struct Misfit {
    kind: Oid,
    cause: Cause,
}

/// A row with fewer columns than are read of it.
#[derive(Debug, thiserror::Error)]
#[error("a row is shorter than its statement says")]
struct Short;

impl<'a> BinaryRow<'a> {
    /// A row, as the body of its message, whose columns have these types.
    pub(super) fn new(body: &'a [u8], kinds: &'a [Oid]) -> Self {
        Self {
            // How many columns there are is known.
            rest: body.get(2..).unwrap_or_default(),
            kinds: kinds.iter(),
        }
    }

    /// The next column.
    pub(in super::super) fn take<T: Binary>(&mut self) -> Result<T> {
        let (kind, raw) = self.next()?;
        let value = if T::accepts(kind) {
            T::read(raw)
        } else {
            Err("another type is expected".into())
        };
        value.map_err(|cause| Error::internal(Misfit { kind, cause }))
    }

    /// The next column, a text.
    pub(in super::super) fn text(&mut self) -> Result<&'a str> {
        let text = self.nullable_text()?;
        text.ok_or_else(|| Error::internal("null, where a text is expected"))
    }

    /// The next column, a text or null.
    pub(in super::super) fn nullable_text(&mut self) -> Result<Option<&'a str>> {
        let (kind, raw) = self.next()?;
        let text = if is_text(kind) {
            raw.map(text_from_sql).transpose()
        } else {
            Err("a text is expected".into())
        };
        text.map_err(|cause| Error::internal(Misfit { kind, cause }))
    }

    fn next(&mut self) -> Result<(Oid, Option<&'a [u8]>)> {
        self.split().ok_or_else(|| Error::internal(Short))
    }

    fn split(&mut self) -> Option<(Oid, Option<&'a [u8]>)> {
        let kind = *self.kinds.next()?;
        let (length, rest) = self.rest.split_first_chunk()?;
        // A negative length stands for null.
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.rest = rest;
            return Some((kind, None));
        };
        let (raw, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((kind, Some(raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[Option<&[u8]>]) -> Vec<u8> {
        let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
        for column in columns {
            let length = column.map_or(-1, |raw| i32::try_from(raw.len()).unwrap());
            body.extend(length.to_be_bytes());
            body.extend(column.unwrap_or_default());
        }
        body
    }

    #[test]
    fn columns_are_read_one_after_the_other() {
        let body = row(&[Some(&7_i64.to_be_bytes()), None, Some(b"ada"), Some(&[1])]);
        let kinds = [oid::INT8, oid::TIMESTAMPTZ, oid::VARCHAR, oid::BOOL];
        let mut row = BinaryRow::new(&body, &kinds);
        assert_eq!(row.take::<i64>().unwrap(), 7);
        assert_eq!(row.take::<Option<DateTime<Utc>>>().unwrap(), None);
        assert_eq!(row.text().unwrap(), "ada");
        assert!(row.take::<bool>().unwrap());
        assert!(row.take::<bool>().is_err(), "there is no fifth");
    }

    #[test]
    fn a_claimed_array_length_is_not_trusted() {
        let array = |claimed: i32, texts: &[&str]| {
            let mut raw = Vec::new();
            for number in [1, 0, 25, claimed, 1] {
                raw.extend(i32::to_be_bytes(number));
            }
            for text in texts {
                raw.extend(i32::try_from(text.len()).unwrap().to_be_bytes());
                raw.extend(text.as_bytes());
            }
            TextList::read(Some(&raw)).map(|list| list.0)
        };
        assert_eq!(array(2, &["a", "bc"]).unwrap(), ["a", "bc"]);
        assert!(array(0, &[]).unwrap().is_empty());
        for claimed in [1, 3, i32::MAX, -1] {
            assert!(array(claimed, &["a", "bc"]).is_err(), "{claimed}");
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_an_error_and_nothing_else() {
        let number = 7_i64.to_be_bytes();
        let reads = |kind, raw: Option<&[u8]>| {
            let (body, kinds) = (row(&[raw]), [kind]);
            let long = BinaryRow::new(&body, &kinds).take::<i64>().is_ok();
            let text = BinaryRow::new(&body, &kinds).nullable_text().is_ok();
            (long, text)
        };
        assert_eq!(reads(oid::INT8, Some(&number)), (true, false));
        assert_eq!(reads(oid::INT8, Some(&number[..7])), (false, false));
        assert_eq!(reads(oid::INT8, None), (false, false));
        assert_eq!(reads(oid::TEXT, None), (false, true));
        assert_eq!(reads(oid::TEXT, Some(&[0xff])), (false, false));
        assert_eq!(reads(oid::FIRST_OF_OTHERS, Some(b"CI")), (false, true));
        let body = row(&[Some(&number)]);
        for end in 0..body.len() {
            let mut row = BinaryRow::new(&body[..end], &[oid::INT8]);
            assert!(row.take::<i64>().is_err(), "{end}");
        }
    }
}
