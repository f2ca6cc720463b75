//! A control silo on a free port, which answers signed calls over a database.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use user_gateway::auth::TokenStore;
use user_gateway::config::RpcConfig;
use user_gateway::database::Database;
use user_gateway::domain::{Secret, SystemClock};
use user_gateway::rpc::client::{RpcClient, RpcPeer};
use user_gateway::rpc::{RpcLimits, RpcServer, Secrets};

const SECRET: &str = "a-long-value-that-is-hard-to-guess";

/// The silo, as long as this is there.
#[derive(Debug)]
pub(crate) struct Silo {
    url: String,
    serving: JoinHandle<()>,
}

impl Silo {
    /// Answers calls from `database`.
    pub(crate) async fn over(database: &Database) -> Self {
        let tokens = Arc::new(database.clone()) as Arc<dyn TokenStore>;
        let server = RpcServer {
            secrets: secrets(),
            services: Some(database.services()),
            tokens: Some(tokens),
            region_caching: None,
            control_caching: None,
            limits: RpcLimits::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            axum::serve(listener, server.router()).await.unwrap();
        });
        Self { url, serving }
    }

    /// A region's client of the silo, with time enough for a machine that has a lot to do.
    pub(crate) fn client(&self) -> RpcClient {
        let peer = RpcPeer {
            name: "control".to_owned(),
            url: self.url.clone(),
            from: "us".to_owned(),
        };
        let config = RpcConfig {
            secrets: Vec::new(),
            timeout: Duration::from_mins(1),
            method_timeouts: [].into(),
            retries: 3,
            max_requests: 256,
        };
        RpcClient::new(peer, secrets(), config, Arc::new(SystemClock)).unwrap()
    }
}

impl Drop for Silo {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn secrets() -> Secrets {
    Secrets::new(vec![Secret::new(SECRET.to_owned())]).unwrap()
}
