//! Runs the target `rpc_call` of the gateway.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_gateway::fuzz::rpc_call(data));
