//! The task that keeps a replica connected: it takes part in what replicas tell each other, and
//! begins anew when a connection is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use redis::aio::{PubSub, PubSubStream};
use redis::{Msg, RedisError, RedisResult};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::State;
use super::session::Session;
use super::standing::{Point, Standing, Step};
use crate::cache::tally;
use crate::domain::{Change, Event, UserId};

/// How long a failed attempt to connect keeps from the next, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Leaves the register of replicas however the task ends: without it no invalidation is received.
struct LinkGuard<'a>(&'a State);

impl Drop for LinkGuard<'_> {
    fn drop(&mut self) {
        self.0.leave();
        tally::redis_connected(false);
    }
}

/// Connects, takes part until the connection is lost, and begins anew, for as long as it is let.
pub(super) async fn keep(state: Arc<State>) {
    let _guard = LinkGuard(&state);
    let mut pause = PAUSES.0;
    let mut is_known = false;
    loop {
        // Only connecting has this timeout: later there may be many commands, each with its own.
        let connected = timeout(state.timing.connect * 4, connect(&state)).await;
        let opened = match connected {
            Ok(Ok((session, ears))) => Link::open(&state, session, ears).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(lost("connecting timed out")),
        };
        let error = match opened {
            Ok(link) => {
                if is_known {
                    tracing::info!("the cache's Redis can be reached again");
                }
                is_known = false;
                tally::redis_connected(true);
                let begun = Instant::now();
                let error = link.run().await;
                if begun.elapsed() > pause {
                    pause = PAUSES.0;
                }
                error
            }
            Err(error) => error,
        };
        state.leave();
        tally::redis_connected(false);
        if !is_known {
            tracing::warn!(%error, "the cache's Redis is lost; reads go to the control silo");
            is_known = true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// A replica's part in what replicas tell each other, over one connection.
struct Link {
    state: Arc<State>,
    session: Arc<Session>,
    messages: PubSubStream,
    standing: Standing,
    /// The register that is not settled yet, and since when it was seen to be so.
    unsettled: Option<(String, Instant)>,
}

/// Connects to Redis, and subscribes to the invalidations of other replicas.
async fn connect(state: &State) -> RedisResult<(Arc<Session>, PubSub)> {
    let replica = Arc::clone(&state.replica);
    let session = Session::open(&state.client, &state.region, replica, state.timing).await?;
    let mut ears = state.client.get_async_pubsub().await?;
    ears.subscribe(session.names.invalidated()).await?;
    ears.subscribe(session.names.heard(&state.replica)).await?;
    Ok((Arc::new(session), ears))
}

impl Link {
    async fn open(state: &Arc<State>, session: Arc<Session>, ears: PubSub) -> RedisResult<Self> {
        // Writers find the connection from here on, readers do not yet: what could not be
        // invalidated while there was none comes first. No invalidation waits for this replica
        // meanwhile, as it is not in the register.
        state.session.store(Some(Arc::clone(&session)));
        state.settle_debts(&session).await?;
        // Every later invalidation is received, and the register holds earlier ones. Reads that began
        // under an earlier connection may have found older versions.
        let (point, is_settled, until) = session.renew().await?;
        state.memory.forget_all();
        let mut standing = Standing::new(point.clone());
        let unsettled = (!is_settled).then(|| (point.register.clone(), Instant::now()));
        standing.renew(point, until, &session.lease);
        state.announcer.announce(&Event::Missed);
        Ok(Self {
            state: Arc::clone(state),
            session,
            messages: ears.into_on_message(),
            standing,
            unsettled,
        })
    }

    /// Takes part until the connection is lost; why it was.
    async fn run(mut self) -> RedisError {
        let mut renewal = interval(self.state.timing.renewal);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                why = self.session.given_up() => Err(why.unwrap_or_else(|| lost("it was left"))),
                message = self.messages.next() => match message {
                    Some(message) => self.hear(message).await,
                    None => Err(lost("the subscription ended")),
                },
                _ = renewal.tick() => self.renew().await,
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    /// Hears a message and all that came with it.
    async fn hear(&mut self, first: Msg) -> RedisResult<()> {
        let mut owed = HashMap::new();
        let mut next = Some(first);
        while let Some(message) = next {
            let heard = message.get_payload::<String>().ok();
            let is_about_a_user = message.get_channel_name() == self.session.names.invalidated();
            let is_understood = match heard {
                Some(text) if is_about_a_user => self.hear_invalidation(&text, &mut owed),
                Some(text) => self.hear_acknowledgement(&text),
                None => None,
            };
            if is_understood.is_none() {
                return Err(lost("a message of another form was heard"));
            }
            next = self.messages.next().now_or_never().flatten();
        }
        if owed.is_empty() {
            return Ok(());
        }
        self.session.acknowledge(&owed).await
    }

    fn hear_invalidation(&mut self, text: &str, owed: &mut HashMap<String, Point>) -> Option<()> {
        let mut words = text.split(' ');
        let point = Point {
            register: words.next()?.to_owned(),
            number: words.next()?.parse().ok()?,
        };
        let user_id = UserId(words.next()?.parse().ok()?);
        let origin = words.next()?;
        let state = &self.state;
        let step = self.standing.step(&point);
        match step {
            Step::One => state.memory.forget(user_id),
            Step::All => state.memory.forget_all(),
        }
        self.standing.hear(&point, &self.session.lease);
        if step == Step::All {
            state.announcer.announce(&Event::Missed);
        } else if origin != &*state.replica {
            state
                .announcer
                .announce(&Event::Changed(Change { user_id }));
        }
        if origin != &*state.replica {
            owed.insert(origin.to_owned(), point);
        }
        Some(())
    }

    fn hear_acknowledgement(&self, text: &str) -> Option<()> {
        let mut words = text.split(' ');
        let replica = words.next()?.to_owned();
        let point = Point {
            register: words.next()?.to_owned(),
            number: words.next()?.parse().ok()?,
        };
        self.session.heard.send_modify(|heard| {
            heard.insert(replica, point);
        });
        Some(())
    }

    async fn renew(&mut self) -> RedisResult<()> {
        if self.standing.is_deaf(Instant::now()) {
            return Err(lost("invalidations are not heard"));
        }
        let (point, is_settled, until) = self.session.renew().await?;
        if self.standing.is_foreign(&point) {
            self.state.memory.forget_all();
        }
        self.watch_over(&point, is_settled).await?;
        self.standing.renew(point, until, &self.session.lease);
        Ok(())
    }

    /// Settles a register in which, by now, everybody has entered who answers from memory: it has
    /// been there for longer than a lease lasts that was granted before.
    async fn watch_over(&mut self, point: &Point, is_settled: bool) -> RedisResult<()> {
        if is_settled {
            self.unsettled = None;
            return Ok(());
        }
        let now = Instant::now();
        match &self.unsettled {
            Some((register, since)) if *register == point.register => {
                let timing = &self.state.timing;
                if now.duration_since(*since) >= timing.lease + timing.margin {
                    self.session.settle(register).await?;
                }
            }
            _ => self.unsettled = Some((point.register.clone(), now)),
        }
        Ok(())
    }
}

/// An end of a connection that Redis has no error for.
fn lost(why: &'static str) -> RedisError {
    (redis::ErrorKind::Io, why).into()
}
