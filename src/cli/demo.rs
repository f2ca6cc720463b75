//! `demo`.

use std::sync::Arc;

use super::say;
use super::serve::{announce, listen, stopped};
use crate::app::{self, App};
use crate::auth::{NewToken, NewTokenOwner, Scopes, TokenKind, TokenStore, TokenText};
use crate::config::{Config, SiloMode};
use crate::database::seed;
use crate::domain::{Clock, Secret, SystemClock, UserId};
use crate::sample::{Size, batches};
use crate::service::Announcer;

/// The sample directory's superuser.
const ADMIN: UserId = UserId(1);

pub(super) async fn run(mut config: Config) -> anyhow::Result<()> {
    config.silo.mode = SiloMode::Monolith;
    config.database.url = Secret::new("sqlite::memory:".to_owned());
    let listeners = listen(&config).await?;
    let limit = config.server.shutdown_timeout;
    let announcer = Announcer::default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = app::open(&config, announcer.clone(), Arc::clone(&clock)).await?;
    let rows = batches(Size::DEMO, 250).map(crate::sample::Batch::into_tables);
    seed(
        &database,
        rows.collect::<Result<Vec<_>, _>>()?.into_iter(),
        |_| {},
    )
    .await?;
    let text = TokenText::generate(TokenKind::User);
    let token = NewToken {
        text: text.clone(),
        owner: NewTokenOwner::User(ADMIN),
        scopes: Scopes::all(),
        expires_at: None,
    };
    database.create(&token).await?;
    let graphiql = config.graphql.graphiql;
    let app = App::over(config, database, announcer, clock)?;
    let origin = announce(&listeners)?;
    if graphiql {
        // A fragment stays in the browser; the page takes the token from it.
        say(format_args!(
            "graphiql {origin}/graphiql#token={}",
            text.expose()
        ));
    }
    say(format_args!("token {}", text.expose()));
    app.serve(listeners, stopped(limit)?).await
}
