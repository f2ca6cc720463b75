//! Runs the target `document` of the gateway.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_gateway::fuzz::document(data));
