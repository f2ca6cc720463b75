//! The value of the `text[]` columns, which `SQLite` has no type for.

use sea_orm::{
    ColIdx, DbErr, QueryResult, TryGetError, TryGetable, Value,
    entity::prelude::Json,
    sea_query::{ArrayType, ColumnType, Nullable, RcOrArc, ValueType, ValueTypeErr},
};

/// A list of strings: `text[]` on `PostgreSQL`, text on `SQLite`.
///
/// A value is bound before the backend is known, so it is bound as text in `PostgreSQL`'s array
/// notation (`{"a","b"}`). The columns carry `save_as = "text[]"`, and that cast turns the text into
/// an array on `PostgreSQL` and leaves it alone on `SQLite`. A JSON array is read from `SQLite` too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StringList(pub Vec<String>);

impl StringList {
    fn to_literal(&self) -> String {
        let mut literal = String::from("{");
        for (position, item) in self.0.iter().enumerate() {
            if position > 0 {
                literal.push(',');
            }
            literal.push('"');
            for character in item.chars() {
                if matches!(character, '"' | '\\') {
                    literal.push('\\');
                }
                literal.push(character);
            }
            literal.push('"');
        }
        literal.push('}');
        literal
    }

    fn from_text(text: &str) -> Result<Self, DbErr> {
        let refused = |why: &str| DbErr::Type(format!("not a list of strings: {why}"));
        let items = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .or_else(|| text.strip_prefix('[')?.strip_suffix(']'))
            .ok_or_else(|| refused("no brackets"))?;
        // Between the brackets the quoted form of both notations is the same.
        let parsed: Json = format!("[{items}]")
            .parse()
            .map_err(|_| refused("bad notation"))?;
        parsed
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
            .map(Self)
            .ok_or_else(|| refused("an element is no string"))
    }
}

impl From<Vec<String>> for StringList {
    fn from(items: Vec<String>) -> Self {
        Self(items)
    }
}

impl From<StringList> for Value {
    fn from(list: StringList) -> Self {
        list.to_literal().into()
    }
}

impl TryGetable for StringList {
    fn try_get_by<I: ColIdx>(res: &QueryResult, index: I) -> Result<Self, TryGetError> {
        if res.try_as_pg_row().is_some() {
            return Vec::<String>::try_get_by(res, index).map(Self);
        }
        let text = String::try_get_by(res, index)?;
        Ok(Self::from_text(&text)?)
    }
}

impl ValueType for StringList {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        let text = <String as ValueType>::try_from(value)?;
        Self::from_text(&text).map_err(|_| ValueTypeErr)
    }

    fn type_name() -> String {
        "StringList".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::String
    }

    fn column_type() -> ColumnType {
        ColumnType::Array(RcOrArc::new(ColumnType::Text))
    }
}

impl Nullable for StringList {
    fn null() -> Value {
        Value::String(None)
    }
}

#[cfg(test)]
mod tests {
    use super::StringList;

    #[test]
    fn what_is_written_is_read_back() {
        let list = StringList(vec![
            "org:read".to_owned(),
            String::new(),
            r#"a "quoted", {braced} \ one"#.to_owned(),
            "NULL".to_owned(),
        ]);
        assert_eq!(StringList::from_text(&list.to_literal()), Ok(list));
        assert_eq!(
            StringList::from_text(&StringList::default().to_literal()),
            Ok(StringList::default())
        );
    }

    #[test]
    fn a_json_array_is_read() {
        assert_eq!(
            StringList::from_text(r#"["users:read", "users:write"]"#),
            Ok(StringList(vec![
                "users:read".to_owned(),
                "users:write".to_owned()
            ]))
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "users:read", "{users:read}", "[1]", "[\"a\"}", "{\"a\""] {
            assert!(StringList::from_text(text).is_err(), "{text}");
        }
    }
}
