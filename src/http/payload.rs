//! What a request holds: one operation or several, as JSON or in a URL.

use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::failure::Failure;
use crate::domain::Code;
use crate::graphql::{DocumentName, GraphqlRequest, Variables};

/// The most JSON values in a body or a message, including member names. Parsing this many blocks a worker
/// thread for some milliseconds.
const MAX_VALUES: usize = 100_000;

/// What a body holds.
pub(super) enum Payload {
    Single(GraphqlRequest),
    Batch(Vec<GraphqlRequest>),
}

impl Payload {
    /// Reads a body.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        if has_too_many_values(bytes) {
            let message = too_many_values("the body");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Failure::new(status, Code::PayloadTooLarge, message));
        }
        // Most bodies are as they should be; the others are looked at closely.
        if let Some(request) = well_formed(bytes) {
            return Ok(Self::Single(request));
        }
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| Failure::bad_request(format!("the body is not JSON: {error}")))?;
        match value {
            Value::Object(members) => from_members(members).map(Self::Single),
            Value::Array(items) if items.is_empty() => {
                Err(Failure::bad_request("the batch holds no operation"))
            }
            Value::Array(items) => {
                let items = items.into_iter().map(|item| match item {
                    Value::Object(members) => from_members(members),
                    _ => Err(Failure::bad_request(
                        "an operation of a batch must be an object",
                    )),
                });
                items.collect::<Result<_, _>>().map(Self::Batch)
            }
            _ => Err(Failure::bad_request(
                "the body must be an object with a `query`, or a list of such objects",
            )),
        }
    }
}

/// Whether JSON has more than [`MAX_VALUES`]. For other text the result is unspecified.
pub(super) fn has_too_many_values(json: &[u8]) -> bool {
    // Each but the last takes at least two bytes: its own and a separator.
    if json.len() < 2 * MAX_VALUES {
        return false;
    }
    let (mut values, mut is_text, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            // A value follows each of these, unless the list or the object is empty.
            b',' | b':' | b'[' | b'{' if !is_text => values += 1,
            _ => {}
        }
    }
    values > MAX_VALUES
}

/// The message for too many values.
pub(super) fn too_many_values(what: &str) -> String {
    format!("{what} may have at most {MAX_VALUES} JSON values, including member names")
}

/// The members of a request that is as it should be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    #[serde(default)]
    variables: Variables,
    #[serde(borrow)]
    extensions: Option<&'a RawValue>,
}

/// The extensions that are understood.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extensions<'a> {
    #[serde(borrow)]
    persisted_query: Option<&'a RawValue>,
}

/// A document that is named by its hash.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersistedQuery {
    version: u64,
    sha256_hash: String,
}

/// The version of [`PersistedQuery`]'s protocol.
const PERSISTED_QUERY_VERSION: u64 = 1;

/// Reads a body that is as it should be, without making a tree of it first.
fn well_formed(bytes: &[u8]) -> Option<GraphqlRequest> {
    let text = std::str::from_utf8(bytes).ok()?;
    let members: Members<'_> = object(text)?;
    let mut name = members.document_id.map(DocumentName::Id);
    if let Some(extensions) = members.extensions {
        let Extensions { persisted_query } = object(extensions.get())?;
        if let Some(persisted) = persisted_query {
            let persisted: PersistedQuery = object(persisted.get())?;
            if persisted.version != PERSISTED_QUERY_VERSION {
                return None;
            }
            name = Some(DocumentName::Hash(persisted.sha256_hash));
        }
    }
    (members.query.is_some() || name.is_some()).then(|| GraphqlRequest {
        query: members.query,
        name,
        operation_name: members.operation_name,
        variables: members.variables,
    })
}

/// Reads an object. A list of its members in their order, which would do for the deserializer,
/// will not do here.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    let is_object = json.trim_ascii_start().starts_with('{');
    is_object.then(|| serde_json::from_str(json).ok()).flatten()
}

/// Reads the members of a request; null is as good as absent, and others are ignored.
pub(super) fn from_members(mut members: Map<String, Value>) -> Result<GraphqlRequest, Failure> {
    let query = text(&mut members, "query")?;
    let id = text(&mut members, "documentId")?;
    let operation_name = text(&mut members, "operationName")?;
    let variables = map(&mut members, "variables", "variables")?;
    let mut extensions = map(&mut members, "extensions", "extensions")?;
    let hash = persisted_query(extensions.as_mut())?;
    let name = hash.map(DocumentName::Hash);
    let name = name.or_else(|| id.map(DocumentName::Id));
    if query.is_none() && name.is_none() {
        return Err(Failure::bad_request(
            "`query` is missing; it holds the document, unless `documentId` or \
             `extensions.persistedQuery` names one",
        ));
    }
    Ok(GraphqlRequest {
        query,
        name,
        operation_name,
        variables: Variables::from_json(variables.map_or(Value::Null, Value::Object)),
    })
}

/// The hash that stands for the document, if one does.
fn persisted_query(extensions: Option<&mut Map<String, Value>>) -> Result<Option<String>, Failure> {
    let Some(extensions) = extensions else {
        return Ok(None);
    };
    let path = "extensions.persistedQuery";
    let Some(mut persisted) = map(extensions, "persistedQuery", path)? else {
        return Ok(None);
    };
    let version = persisted.get("version").and_then(Value::as_u64);
    match (version, persisted.remove("sha256Hash")) {
        (Some(PERSISTED_QUERY_VERSION), Some(Value::String(hash))) => Ok(Some(hash)),
        _ => Err(Failure::bad_request(format!(
            "`{path}` must hold `version`, which is {PERSISTED_QUERY_VERSION}, and `sha256Hash`, \
             a text"
        ))),
    }
}

fn take(members: &mut Map<String, Value>, name: &str) -> Option<Value> {
    members.remove(name).filter(|value| !value.is_null())
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Failure> {
    match take(members, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Failure::bad_request(format!("`{name}` must be a text"))),
    }
}

fn map(
    members: &mut Map<String, Value>,
    name: &str,
    path: &str,
) -> Result<Option<Map<String, Value>>, Failure> {
    match take(members, name) {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(Failure::bad_request(format!("`{path}` must be an object"))),
    }
}

/// Reads a request from the query of a URL; an empty parameter is as good as absent.
pub(super) fn from_query(uri: &Uri) -> Result<GraphqlRequest, Failure> {
    use axum::extract::Query;
    let Query(parameters) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| {
        Failure::bad_request(format!("the URL's query cannot be read: {error}"))
    })?;
    let mut members = Map::new();
    for (name, text) in parameters.into_iter().filter(|(_, text)| !text.is_empty()) {
        let value = match name.as_str() {
            "query" | "documentId" | "operationName" => Value::String(text),
            "variables" | "extensions" => serde_json::from_str(&text).map_err(|error| {
                Failure::bad_request(format!("the parameter `{name}` is not JSON: {error}"))
            })?,
            _ => continue,
        };
        members.insert(name, value);
    }
    from_members(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings_only() {
        let list = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
        let object = |count: usize| format!("{{{}\"a\":1}}", "\"a\":1,".repeat(count - 1));
        let text = |count: usize| format!("[\"{}\"]", "\\\",[".repeat(count));
        for (json, is_refused) in [
            (list(MAX_VALUES), false),
            (list(MAX_VALUES + 1), true),
            (object(MAX_VALUES / 2), false),
            (object(MAX_VALUES / 2 + 1), true),
            (text(MAX_VALUES), false),
            (" ".repeat(10 * MAX_VALUES), false),
        ] {
            let start: String = json.chars().take(10).collect();
            let is_too_many = has_too_many_values(json.as_bytes());
            assert_eq!(is_too_many, is_refused, "{start} of {} bytes", json.len());
        }
    }
}
