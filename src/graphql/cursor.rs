//! Pages as Relay asks for them, and the cursors that mark places in lists.
//!
//! A cursor names a row by the list's order and its id, not by a count of rows: a page deep in a
//! list costs as much as the first, and rows that come and go shift nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike};

use crate::auth::VisibleUser;
use crate::config::Limits;
use crate::domain::{
    Anchor, Invalid, InvalidCode, OrderField, OrderValue, PageEnd, PageRequest, Result,
};

/// The version of the form; a cursor of another is refused.
const VERSION: &str = "1";

/// The arguments of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct PageArguments {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

impl PageArguments {
    /// The page they ask for in a list ordered by `field`.
    pub(super) fn parse(&self, field: OrderField, limits: &Limits) -> Result<PageRequest> {
        let size = |given: i32, name: &str| {
            u32::try_from(given)
                .ok()
                .filter(|size| *size <= limits.page_size)
                .ok_or_else(|| {
                    let message = format!(
                        "a page has 0 to {} rows and {given} were asked for; ask for several pages",
                        limits.page_size
                    );
                    let code = if given < 0 {
                        InvalidCode::InvalidFormat
                    } else {
                        InvalidCode::TooLong
                    };
                    Invalid::new(code, message, &[name])
                })
        };
        let (end, size) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(Invalid::format("give `first` or `last`, not both", &["last"]).into());
            }
            (Some(first), None) => (PageEnd::First, size(first, "first")?),
            (None, Some(last)) => (PageEnd::Last, size(last, "last")?),
            (None, None) => (PageEnd::First, limits.default_page_size),
        };
        let anchor = |cursor: &Option<String>, name: &str| {
            cursor
                .as_deref()
                .map(|cursor| decode(cursor, field, name))
                .transpose()
        };
        Ok(PageRequest {
            after: anchor(&self.after, "after")?,
            before: anchor(&self.before, "before")?,
            end,
            size,
        })
    }
}

/// The cursor of a user in a list ordered by `field`.
pub(super) fn of_user(user: &VisibleUser, field: OrderField) -> Result<String> {
    let id = user.id().0;
    Ok(encode(&match field {
        OrderField::Id => format!("{VERSION}:i:{id}"),
        OrderField::Username => format!("{VERSION}:u:{id}:{}", user.public().username()),
        OrderField::DateJoined => {
            format!(
                "{VERSION}:j:{id}:{}",
                user.public().date_joined()?.timestamp_micros()
            )
        }
    }))
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn decode(cursor: &str, field: OrderField, argument: &str) -> Result<Anchor> {
    let invalid = |message: &str| Invalid::format(message, &[argument]);
    let text = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let anchor = text
        .as_deref()
        .and_then(parse)
        .ok_or_else(|| invalid("not a cursor of this list; take one from `pageInfo` or an edge"))?;
    if anchor.value.field() != field {
        return Err(invalid(
            "the cursor is of a list in another order; keep `orderBy` from page to page",
        )
        .into());
    }
    Ok(anchor)
}

fn parse(text: &str) -> Option<Anchor> {
    let mut parts = text.splitn(4, ':');
    let (version, kind, id) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    let value = match (version, kind, parts.next()) {
        (VERSION, "i", None) => OrderValue::Id,
        (VERSION, "u", Some(name)) if !name.contains('\0') => OrderValue::Username(name.to_owned()),
        (VERSION, "j", Some(micros)) => {
            let moment = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
            // PostgreSQL knows no year before -4713; no account is from then.
            (1..=9999).contains(&moment.year()).then_some(())?;
            OrderValue::DateJoined(moment)
        }
        _ => return None,
    };
    Some(Anchor { value, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "",
            "abc",
            "😀",
            "MTppOg",
            &encode("1:i:x"),
            &encode("2:i:1"),
            &encode("1:u:1"),
            &encode("1:j:1:-8000000000000000000"),
        ] {
            assert!(decode(text, OrderField::Id, "after").is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_order() {
        let cursor = encode("1:u:7:ada:lovelace");
        let anchor = decode(&cursor, OrderField::Username, "after").unwrap();
        assert_eq!(
            anchor,
            Anchor {
                value: OrderValue::Username("ada:lovelace".to_owned()),
                id: 7
            }
        );
        assert!(decode(&cursor, OrderField::Id, "after").is_err());
    }
}
