//! Runs the target `limits` of the gateway.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_gateway::fuzz::limits(data));
