//! Whether a region answers what control answers: the same requests in the same order to control
//! of one fleet and to a region of another that holds the same.

mod directory;
mod question;

use std::collections::VecDeque;

use serde_json::{Value, json};

use self::directory::filled;
use self::question::{WHOLE, last_questions, questions};
use crate::harness::{Engine, Fleet, Silo};

/// The answer to one question, in a form that does not depend on the order of errors.
async fn outcome(silo: &Silo, token: &str, query: &str, variables: &Value) -> Value {
    let fragments: String = ["Whole", "Group", "Setting"]
        .iter()
        .filter(|name| {
            let needed = query.contains(&format!("...{name}")) || query.contains("...Whole");
            needed && !query.contains(&format!("fragment {name} "))
        })
        .map(|name| {
            let start = WHOLE.find(&format!("fragment {name} ")).unwrap();
            let rest = &WHOLE[start..];
            let end = rest[1..]
                .find("fragment ")
                .map_or(rest.len(), |end| end + 1);
            &rest[..end]
        })
        .collect();
    let answer = silo
        .answer(token, &format!("{query} {fragments}"), variables.clone())
        .await;
    let mut body = answer.json();
    if let Some(errors) = body.get_mut("errors").and_then(Value::as_array_mut) {
        errors.sort_by_key(Value::to_string);
    }
    json!({ "status": answer.status, "body": body })
}

async fn a_region_answers_what_control_answers(engine: Engine) {
    let (first, callers) = filled(engine).await;
    let (second, same_callers) = filled(engine).await;
    let mut different = Vec::new();
    let mut with_data = 0;
    for questions in [questions(), last_questions()] {
        for (caller, same) in callers.iter().zip(&same_callers) {
            // Whoever is not known hears the same to whatever is asked.
            let count = if caller.is_known { questions.len() } else { 5 };
            let mut waiting: VecDeque<_> = questions.iter().take(count).cloned().collect();
            while let Some((query, mut variables)) = waiting.pop_front() {
                let (control, region) = tokio::join!(
                    outcome(&first.control, &caller.token, query, &variables),
                    outcome(&second.regions[0], &same.token, query, &variables),
                );
                let data = &control["body"]["data"];
                with_data += usize::from(data.is_object());
                let page = &data["users"]["pageInfo"];
                if control != region {
                    different.push(format!(
                        "{} asks {query}\nwith {variables}\ncontrol: {control}\nregion:  {region}",
                        caller.name
                    ));
                } else if !variables["first"].is_null() && page["hasNextPage"] == true {
                    variables["after"] = page["endCursor"].clone();
                    waiting.push_front((query, variables));
                } else if !variables["last"].is_null() && page["hasPreviousPage"] == true {
                    variables["before"] = page["startCursor"].clone();
                    waiting.push_front((query, variables));
                }
            }
        }
    }
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n\n")
    );
    assert!(with_data > questions().len(), "{with_data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_answers_what_control_answers_on_sqlite() {
    Box::pin(a_region_answers_what_control_answers(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_region_answers_what_control_answers_on_postgresql() {
    Box::pin(a_region_answers_what_control_answers(Engine::Postgres)).await;
}

#[tokio::test]
async fn every_field_of_queries_and_mutations_is_asked_for() {
    let fleet = Fleet::start(&["us"]).await;
    let token = fleet.service_token(&[]).await;
    let query = "{ __schema {
        queryType { fields { name } } mutationType { fields { name } }
        types { name fields { name } }
    } }";
    let control = fleet.control.data(&token, query, json!({})).await;
    let region = fleet.regions[0].data(&token, query, json!({})).await;
    assert_eq!(control, region);
    let asked: String = questions()
        .iter()
        .chain(&last_questions())
        .map(|(query, _)| *query)
        .chain([WHOLE])
        .collect();
    let schema = &control["__schema"];
    let user = schema["types"].as_array().unwrap();
    let user = user.iter().find(|found| found["name"] == "User").unwrap();
    for fields in [&schema["queryType"], &schema["mutationType"], user] {
        for field in fields["fields"].as_array().unwrap() {
            let name = field["name"].as_str().unwrap();
            let is_asked = asked
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == name);
            assert!(is_asked, "{name} is not asked for");
        }
    }
}
