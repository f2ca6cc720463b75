//! A control silo and the regions that ask it, in this process, each on a port of its own;
//! and such a fleet of processes.

mod process;
mod silo;

use user_gateway::auth::{NewToken, NewTokenOwner, Scopes, TokenKind, TokenStore, TokenText};
use user_gateway::config::{Config, PeerConfig, SiloMode};
use user_gateway::domain::{Secret, UserId};

use super::database::{Engine, TestDatabase};
use super::port::free_port;
use super::process::eventually;

pub(crate) use self::process::ProcessFleet;
pub(crate) use self::silo::Silo;

/// The secret that the silos of a fleet share.
pub(crate) const SECRET: &str = "a-secret-of-the-fleet";

/// How a fleet is made up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// The engine of the control silo.
    pub(crate) engine: Engine,
    /// The regions, and how many replicas each has.
    pub(crate) regions: &'a [(&'a str, usize)],
    /// The Redis that the replicas of a region share, if any do.
    pub(crate) redis: Option<&'a str>,
}

/// A control silo with its regions.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The database of the control silo.
    pub(crate) database: TestDatabase,
    /// The control silo.
    pub(crate) control: Silo,
    /// Every replica of every region, in the order of the plan.
    pub(crate) regions: Vec<Silo>,
}

impl Fleet {
    /// Starts a control silo over SQLite with regions of one replica each.
    pub(crate) async fn start(regions: &[&str]) -> Self {
        Self::with(regions, |_| {}).await
    }

    /// Starts such a fleet with a configuration that a test adjusts.
    pub(crate) async fn with(regions: &[&str], adjust: impl Fn(&mut Config)) -> Self {
        let regions: Vec<_> = regions.iter().map(|name| (*name, 1)).collect();
        let plan = Plan {
            engine: Engine::Sqlite,
            regions: &regions,
            redis: None,
        };
        Self::of(&plan, adjust).await
    }

    /// Starts what a plan says, with a configuration that a test adjusts.
    pub(crate) async fn of(plan: &Plan<'_>, adjust: impl Fn(&mut Config)) -> Self {
        let database = TestDatabase::open(plan.engine).await;
        let base = || {
            let mut config = Config::default();
            config.rpc.secrets = vec![Secret::new(SECRET.to_owned())];
            config
        };
        let control_port = free_port();
        let mut replicas = Vec::new();
        let mut config = base();
        config.silo.mode = SiloMode::Control;
        config.database.url = Secret::new(database.url().to_owned());
        for (name, count) in plan.regions {
            for replica in 0..*count {
                let port = free_port();
                // Control knows a region by one address; any replica will do.
                if replica == 0 {
                    config.silo.regions.push(PeerConfig {
                        name: (*name).to_owned(),
                        url: format!("http://127.0.0.1:{port}"),
                    });
                }
                replicas.push((*name, port));
            }
        }
        adjust(&mut config);
        let control = Box::pin(Silo::start(config, control_port)).await;
        let mut regions = Vec::new();
        for (name, port) in replicas {
            let mut config = base();
            config.silo.mode = SiloMode::Region;
            name.clone_into(&mut config.silo.region);
            config.silo.control_url.clone_from(&control.origin);
            config.cache.redis_url = plan.redis.map(|url| Secret::new(url.to_owned()));
            adjust(&mut config);
            regions.push(Box::pin(Silo::start(config, port)).await);
        }
        Self {
            database,
            control,
            regions,
        }
    }

    /// Control and every replica.
    pub(crate) fn silos(&self) -> impl Iterator<Item = &Silo> {
        std::iter::once(&self.control).chain(&self.regions)
    }

    /// A token of a user with every scope.
    pub(crate) async fn user_token(&self, id: UserId) -> String {
        self.token(TokenKind::User, NewTokenOwner::User(id), Scopes::all())
            .await
    }

    /// A token of a service with these scopes.
    pub(crate) async fn service_token(&self, scopes: &[&str]) -> String {
        let earlier = self.database.count("user_gateway_servicetoken").await;
        let owner = NewTokenOwner::Service(format!("service-{earlier}"));
        let scopes = Scopes::new(scopes.iter().copied());
        self.token(TokenKind::Service, owner, scopes).await
    }

    async fn token(&self, kind: TokenKind, owner: NewTokenOwner, scopes: Scopes) -> String {
        let text = TokenText::generate(kind);
        let token = NewToken {
            text: text.clone(),
            owner,
            scopes,
            expires_at: None,
        };
        self.database.database().create(&token).await.unwrap();
        text.expose().to_owned()
    }

    /// Waits until every region has been told of every change.
    pub(crate) async fn delivered(&self) {
        eventually("the outbox is empty", async || {
            self.database.count("sentry_controloutbox").await == 0
        })
        .await;
    }

    /// Waits until one region has been told of every change.
    pub(crate) async fn delivered_to(&self, region: &str) {
        eventually("what is for the region is delivered", async || {
            self.waiting_for(region).await == 0
        })
        .await;
    }

    /// How many rows wait for a region.
    pub(crate) async fn waiting_for(&self, region: &str) -> i64 {
        let rest = format!("sentry_controloutbox WHERE region_name = '{region}'");
        self.database.count(&rest).await
    }
}
