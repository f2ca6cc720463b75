//! A response as tests look at it.

use reqwest::RequestBuilder;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// A whole response.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Sends a request and reads all of its response.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// Takes apart what came over a connection.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("`{text}` is no response"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value.trim()).unwrap(),
            );
        }
        Self {
            status: status.unwrap().parse().unwrap(),
            headers,
            body: body.as_bytes().to_vec(),
        }
    }

    /// The text of a header; empty without it. Of several by the same name all, with commas.
    pub(crate) fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
        values.join(", ")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {self:?}: {}", self.text()))
    }

    /// The code of the first error; empty without any.
    pub(crate) fn code(&self) -> String {
        let code = &self.json()["errors"][0]["extensions"]["code"];
        code.as_str().unwrap_or_default().to_owned()
    }

    /// Asserts that the answer is a request error of GraphQL with this status and code: nothing was
    /// executed, so there is no `data`, not even null.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        let text = self.text();
        assert_eq!(self.status, status, "{text}");
        let content_type = self.header("content-type");
        assert!(
            [
                "application/json; charset=utf-8",
                "application/graphql-response+json; charset=utf-8"
            ]
            .contains(&&*content_type),
            "{content_type}: {text}"
        );
        let body = self.json();
        assert!(body.get("data").is_none(), "{text}");
        let errors = body["errors"].as_array().unwrap();
        assert!(!errors.is_empty(), "{text}");
        for error in errors {
            assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()));
            assert!(error["extensions"]["code"].is_string(), "{text}");
            assert!(error.get("path").is_none(), "{text}");
        }
        assert_eq!(self.code(), code, "{text}");
    }
}
