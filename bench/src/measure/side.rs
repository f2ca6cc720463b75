//! The sides of a contest, each a process of its own.

use std::path::Path;
use std::time::Duration;

use crate::directory::Directory;
use crate::load::{self, Bounds, Manners, Target};
use crate::report::Who;
use crate::stage::{Server, free_port};
use crate::workload::{Asker, Load};

/// The credentials of the service that asks.
#[derive(Debug, Clone)]
pub(crate) struct Token(pub(crate) String);

/// A server that takes part.
#[derive(Debug)]
pub(crate) struct Side {
    /// Which one it is.
    pub(crate) who: Who,
    server: Server,
    token: Token,
}

impl Side {
    /// The handlers by hand, over what these arguments name.
    pub(crate) fn hand(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::baseline(Who::Hand, arguments)
    }

    /// The handlers that answer with what lies in a folder.
    pub(crate) fn constant(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.to_string_lossy();
        Self::baseline(Who::Constant, &["--constant", &folder])
    }

    fn baseline(who: Who, arguments: &[&str]) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let server = Server::start(&own, &[&["serve-baseline"], arguments].concat())?;
        // They read no credentials, but get as many bytes of them.
        let token = Token(format!("sntrys_{}", "0".repeat(64)));
        Ok(Self { who, server, token })
    }

    /// What the manuals show, over a database.
    pub(crate) fn stock(program: &Path, (url, token): (&str, &Token)) -> anyhow::Result<Self> {
        Ok(Self {
            who: Who::Stock,
            server: Server::start(program, &[url])?,
            token: token.clone(),
        })
    }

    /// The gateway over a database, as it ships but for these arguments.
    pub(crate) fn gateway(
        who: Who,
        program: &Path,
        (url, token): (&str, &Token),
        further: &[&str],
    ) -> anyhow::Result<Self> {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", url];
        Ok(Self {
            who,
            server: Server::start(program, &[&serve, further].concat())?,
            token: token.clone(),
        })
    }

    /// Where and how a load is asked for.
    pub(crate) fn target(&self, load: Load) -> Target {
        let path = match self.who {
            Who::Gateway | Who::Bare | Who::Stock => "/graphql",
            Who::Hand | Who::Constant => load.path(),
        };
        Target {
            address: self.server.address(),
            path: path.to_owned(),
            token: self.token.0.clone(),
        }
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }
}

/// A control silo over a database, and a region that asks it.
pub(crate) fn region(program: &Path, url: &str, token: &Token) -> anyhow::Result<(Server, Side)> {
    let secret = ["--rpc-secret", "a-secret-of-the-bench"];
    let own = format!("127.0.0.1:{}", free_port()?);
    let regions = format!("us=http://{own}");
    let control = [
        "serve",
        "--silo",
        "control",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        url,
        "--regions",
        &regions,
    ];
    let control = Server::start(program, &[&control[..], &secret].concat())?;
    let control_url = format!("http://{}", control.address());
    let region = [
        "serve",
        "--silo",
        "region",
        "--region",
        "us",
        "--listen",
        &own,
        "--control-url",
        &control_url,
    ];
    let side = Side {
        who: Who::Gateway,
        server: Server::start(program, &[&region[..], &secret].concat())?,
        token: token.clone(),
    };
    Ok((control, side))
}

/// Asks for so many users of a small directory that a cache holds all of them.
pub(crate) async fn warm(side: &Side, directory: &Directory, load: Load) -> anyhow::Result<()> {
    let asker = Asker::new(directory, load);
    let bounds = Bounds {
        connections: 8,
        time: Duration::from_secs(30),
        // Ten times as many draws as there are users miss one in twenty thousand.
        requests: directory.users() * 10,
        manners: Manners::Eager,
    };
    load::run(&asker, &side.target(load), bounds, (u64::MAX, 0), || Ok(())).await?;
    Ok(())
}
