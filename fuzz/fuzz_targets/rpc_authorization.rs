//! Runs the target `rpc_authorization` of the gateway.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_gateway::fuzz::rpc_authorization(data));
