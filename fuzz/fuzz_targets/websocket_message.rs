//! Runs the target `websocket_message` of the gateway.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_gateway::fuzz::websocket_message(data));
