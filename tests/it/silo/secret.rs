//! The secret that silos share: wrong, missing, and replaced while they run.

use serde_json::json;
use user_gateway::config::{Config, SiloMode};
use user_gateway::domain::Secret;

use super::{EVERYTHING, name_of, rename};
use crate::harness::{Answer, Engine, Fleet, Gateway, SECRET, Silo, eventually};

fn secrets(config: &mut Config, texts: &[&str]) {
    let secrets = texts.iter().map(|text| Secret::new((*text).to_owned()));
    config.rpc.secrets = secrets.collect();
}

async fn restart(silo: &mut Silo, texts: &[&str]) {
    silo.stop().await;
    secrets(&mut silo.config, texts);
    silo.start_again().await;
}

#[tokio::test]
async fn a_region_with_another_secret_learns_nothing_and_is_told_nothing() {
    let mut fleet = Fleet::with(&["us", "de"], |config| {
        if config.silo.region == "us" {
            secrets(config, &["another-secret"]);
        }
    })
    .await;
    fleet.database.add_user("ada").await;
    let token = fleet.service_token(&EVERYTHING).await;
    let ask = "{ user(id: 1) { username } }";
    let answer = fleet.regions[0].answer(&token, ask, json!({})).await;
    assert_eq!(answer.code(), "INTERNAL_SERVER_ERROR", "{}", answer.text());
    for internal in ["secret", "signature", "ada", "401", "403"] {
        assert!(!answer.text().contains(internal), "{}", answer.text());
    }
    rename(&fleet.control, &token, 1, "Augusta").await;
    fleet.delivered_to("de").await;
    assert!(fleet.waiting_for("us").await > 0);

    // Nothing was lost meanwhile.
    restart(&mut fleet.regions[0], &[SECRET]).await;
    fleet.delivered().await;
    assert_eq!(name_of(&fleet.regions[0], &token, 1).await, "Augusta");
}

#[tokio::test]
async fn without_a_secret_there_is_no_path_for_calls() {
    let path = "/api/0/internal/rpc/user/get_many/";
    let unset = Gateway::start(Engine::Sqlite).await;
    let request = unset.client.post(format!("{}{path}", unset.origin));
    assert_eq!(Answer::to(request.body("{}")).await.status, 404);
    let elsewhere = unset.client.post(format!("{}/made-up", unset.origin));
    assert_eq!(Answer::to(elsewhere.body("{}")).await.status, 404);

    let control = Fleet::with(&[], |config| secrets(config, &[]))
        .await
        .control;
    assert_eq!(control.config.silo.mode, SiloMode::Control);
    let request = control.post(path).body("{}");
    assert_eq!(Answer::to(request).await.status, 404);

    let fleet = Fleet::start(&["us"]).await;
    for silo in fleet.silos() {
        let unsigned = silo.post(path).header("content-type", "application/json");
        let answer = Answer::to(unsigned.body("{\"meta\": {}, \"args\": {}}")).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        let wrong = silo
            .post(path)
            .header("authorization", "Rpcsignature rpc0:00");
        let answer = Answer::to(wrong.body("{\"meta\": {}, \"args\": {}}")).await;
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_gap() {
    let mut fleet = Fleet::start(&["us"]).await;
    let token = fleet.service_token(&EVERYTHING).await;
    let new = "the-secret-of-tomorrow";
    // First everybody accepts the new one, then everybody signs with it, then the old one goes.
    let steps: [&[&str]; 3] = [&[SECRET, new], &[new, SECRET], &[new]];
    let mut id = 0;
    for step in steps {
        for turn in 0..2 {
            let silo = if turn == 0 {
                &mut fleet.control
            } else {
                &mut fleet.regions[0]
            };
            restart(silo, step).await;
            // What was held is gone, or is a user whom nobody has asked for yet.
            id += 1;
            fleet.database.add_user(&format!("user-{id}")).await;
            eventually("the region asks control", async || {
                let query = "query($id: ID!) { user(id: $id) { name } }";
                let answer = fleet.regions[0].answer(&token, query, json!({ "id": id }));
                let answer = answer.await.json();
                assert_ne!(
                    answer["errors"][0]["extensions"]["code"],
                    "INTERNAL_SERVER_ERROR"
                );
                answer["data"]["user"]["name"] == ""
            })
            .await;
            let name = format!("Name {id}");
            rename(&fleet.control, &token, id, &name).await;
            fleet.delivered().await;
            assert_eq!(name_of(&fleet.regions[0], &token, id).await, name);
        }
    }
    // The old one is worth nothing any more.
    restart(&mut fleet.regions[0], &[SECRET]).await;
    let answer = fleet.regions[0]
        .answer(&token, "{ user(id: 1) { name } }", json!({}))
        .await;
    assert_eq!(answer.code(), "INTERNAL_SERVER_ERROR", "{}", answer.text());
}
