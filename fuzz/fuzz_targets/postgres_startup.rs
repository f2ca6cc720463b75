//! Runs the target `postgres_startup` of the gateway.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_gateway::fuzz::postgres_startup(data));
