//! Whether all sides give the same answers, before anybody is timed.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::directory::Directory;
use crate::load::Connection;
use crate::measure::Side;
use crate::workload::{Asker, Load, Place};

/// How many requests of a load are compared.
const REQUESTS: u64 = 40;
/// Streams that no turn uses.
const STREAM: u64 = 0x00C0_FFEE;

/// Asks all sides the same and compares what they say, as JSON. What the first of them answers to
/// one request is left in a file of `folder`, named like the path, for the constant handler.
pub(crate) async fn answers(
    directory: &Directory,
    load: Load,
    sides: [&Side; 2],
    folder: &Path,
) -> anyhow::Result<()> {
    let asker = Asker::new(directory, load);
    let mut said: Vec<Vec<Value>> = Vec::new();
    for (turn, side) in (0..).zip(sides) {
        let target = side.target(load);
        let mut connection = Connection::open(target.address).await?;
        let mut answers = Vec::new();
        for number in 0..REQUESTS {
            // Whoever comes later must find as much to change as who was first, and one request
            // comes twice, so that there is one with nothing to change.
            let uniques = match load {
                Load::W5 => vec![0, 1, 1],
                Load::W6 => vec![turn, turn],
                _ => vec![0],
            };
            for unique in uniques {
                let place = Place {
                    stream: STREAM,
                    unique: (STREAM << 8) + unique,
                    number,
                };
                let mut body = Vec::new();
                asker.write(&mut body, place);
                let answer = connection.post(&target.path, &target.token, &body).await?;
                answer
                    .must_be_good()
                    .with_context(|| format!("{} of {:?}", load.name(), side.who))?;
                if answers.is_empty() && turn == 0 {
                    std::fs::write(
                        folder.join(load.path().trim_start_matches('/')),
                        answer.body,
                    )?;
                }
                answers.push(comparable(load, serde_json::from_slice(answer.body)?));
            }
        }
        said.push(answers);
    }
    let [first, second] = &*said else {
        anyhow::bail!("two sides are compared");
    };
    for (one, other) in first.iter().zip(second) {
        ensure!(
            one == other,
            "{} is answered differently by {:?} and {:?}:\n{one}\n{other}",
            load.name(),
            sides[0].who,
            sides[1].who
        );
    }
    Ok(())
}

/// An answer without what differs between two users who are new.
fn comparable(load: Load, mut answer: Value) -> Value {
    if load == Load::W6
        && let Some(user) = answer.pointer_mut("/data/getOrCreateUserByEmail/user")
    {
        let is_new = |text: &str| text.starts_with("new.");
        if user["displayName"].as_str().is_some_and(is_new) {
            let has_all = ["id", "username"].map(|field| user[field].is_string());
            *user = Value::from(&has_all[..]);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn new_users_are_alike_and_others_are_not() {
        let answer = |id: &str, shown: &str| {
            let user = json!({ "id": id, "username": "x", "displayName": shown });
            comparable(
                Load::W6,
                json!({ "data": { "getOrCreateUserByEmail": { "user": user, "created": true } } }),
            )
        };
        assert_eq!(
            answer("User:1", "new.x1x1@e"),
            answer("User:2", "new.x2x1@e")
        );
        assert_ne!(answer("User:1", "Ada"), answer("User:2", "Ada"));
        assert_ne!(answer("User:1", "Ada"), answer("User:1", "new.x1x1@e"));
    }
}
