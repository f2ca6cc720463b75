//! Asking another silo: the transport against peers that misbehave, and the services over it.

mod breaker;
mod failures;
mod gateway;
mod request;
mod sentry;
mod stand_in;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use user_gateway::config::RpcConfig;
use user_gateway::domain::{Clock, Secret, SystemClock};
use user_gateway::rpc::client::{RpcClient, RpcPeer};
use user_gateway::rpc::{Call, Secrets};

use stand_in::{Act, StandIn};

const SECRET: &str = "a-long-value-that-is-hard-to-guess";

/// A call that may be made twice.
#[derive(Debug, Serialize, Deserialize)]
struct Look {
    text: String,
}

impl Call for Look {
    const SERVICE: &'static str = "test";
    const METHOD: &'static str = "look";
    const REPEATABLE: bool = true;
    type Value = Option<Value>;
}

/// A call that may not.
#[derive(Debug, Serialize, Deserialize)]
struct Write {}

impl Call for Write {
    const SERVICE: &'static str = "test";
    const METHOD: &'static str = "write";
    const REPEATABLE: bool = false;
    type Value = Option<Value>;
}

fn look() -> Look {
    Look {
        text: "naïve".to_owned(),
    }
}

fn config() -> RpcConfig {
    RpcConfig {
        secrets: vec![Secret::new(SECRET.to_owned())],
        // Long enough for a machine that has a lot to do.
        timeout: Duration::from_mins(1),
        method_timeouts: [].into(),
        retries: 3,
        max_requests: 256,
    }
}

fn client(url: &str) -> RpcClient {
    client_with(url, config(), Arc::new(SystemClock))
}

fn client_with(url: &str, config: RpcConfig, clock: Arc<dyn Clock>) -> RpcClient {
    let peer = RpcPeer {
        name: "control".to_owned(),
        url: url.to_owned(),
        from: "us".to_owned(),
    };
    let secrets = Secrets::new(config.secrets.clone()).unwrap();
    RpcClient::new(peer, secrets, config, clock).unwrap()
}
