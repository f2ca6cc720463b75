//! Fuzz targets for calls of other silos.

use std::str;
use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::super::signature::{Secrets, Signature};
use super::super::wire::{Meta, Request};
use super::dispatch::METHODS;
use super::handle::{check_context, signature, too_long};
use super::method::Context;
use super::{RpcLimits, RpcServer};
use crate::domain::Secret;

/// Any bytes as the signed body of a call of each method: the metadata survives a round trip, and the
/// arguments are accepted or refused before the method is executed.
///
/// # Panics
///
/// If that is not so.
pub fn call(data: &[u8]) {
    let Ok(request) = Request::read(data) else {
        return;
    };
    let meta = serde_json::to_value(&request.meta).and_then(serde_json::from_value::<Meta>);
    assert_eq!(
        meta.ok().as_ref(),
        Some(&request.meta),
        "the round trip changed it"
    );
    let limits = RpcLimits::default();
    let _ = too_long(&request.args, limits.max_list_length);
    let _ = check_context(&request.args);
    let Some(secrets) = Secrets::new(vec![Secret::new("secret".to_owned())]) else {
        return;
    };
    let server = Arc::new(RpcServer {
        secrets,
        services: None,
        tokens: None,
        region_caching: None,
        control_caching: None,
        limits,
    });
    for (service, method, answer) in METHODS {
        let context = Context {
            server: Arc::clone(&server),
            extension: request.meta.user_gateway.clone(),
        };
        let answered = answer(context, Value::Object(request.args.clone())).now_or_never();
        assert!(
            answered.is_some(),
            "{service}/{method} did not answer at once"
        );
    }
}

/// Any bytes as an `Authorization` header: only what has the form of a signature is parsed as one.
///
/// # Panics
///
/// If that is not so.
pub fn authorization(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        let digits = text.strip_prefix("rpc0:").map(str::as_bytes);
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let has_form = digits.is_some_and(|d| d.len() == 64 && d.iter().all(is_digit));
        assert_eq!(Signature::parse(text).is_some(), has_form);
    }
    if let Ok(value) = HeaderValue::from_bytes(data) {
        let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
        let _ = signature(&headers);
    }
}
