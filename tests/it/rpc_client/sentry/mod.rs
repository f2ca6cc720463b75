//! A control silo of Sentry's: what its methods tell, and what is made of it.
//!
//! The stand-in knows Ada (1), who is in the organizations 1 and 2, Grace (2), who is in 1, Alan
//! (3), who is inactive and in none, and Guest-1 (4), who is suspended and in 3.

mod change;
mod filter;
mod organization;
mod page;
mod token;
mod user;
mod user_option;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use user_gateway::domain::{Code, Result, SystemClock, UserFilter, UserId};
use user_gateway::rpc::client::{RpcClient, remote_services};
use user_gateway::service::Services;

use super::{SECRET, client_with, config};

const ADA: UserId = UserId(1);
const GRACE: UserId = UserId(2);
const ALAN: UserId = UserId(3);
const GUEST: UserId = UserId(4);
const EVERYBODY: [UserId; 4] = [ADA, GRACE, ALAN, GUEST];

/// The stand-in, which ends with this.
struct Control {
    process: Child,
    client: RpcClient,
    services: Services,
}

impl Control {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sentry/control.py");
        let mut process = Command::new("python3")
            .arg(script)
            .arg(SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = process.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening ").unwrap();
        let client = client_with(
            &format!("http://127.0.0.1:{port}"),
            config(),
            Arc::new(SystemClock),
        );
        let services = remote_services(&client);
        Self {
            process,
            client,
            services,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// The code of a failure.
fn code<T>(result: Result<T>) -> Option<Code> {
    result.err().map(|error| error.code())
}

fn everybody() -> UserFilter {
    UserFilter::ids(&EVERYBODY)
}
