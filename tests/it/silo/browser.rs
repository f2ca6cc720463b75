//! GraphiQL of a region, in a browser without a window.

use crate::harness::{Scratch, free_port, run_script};

#[tokio::test]
#[ignore = "needs Chromium"]
async fn a_tab_on_a_region_shows_a_change_made_through_control() {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "1000"]);
    let token = scratch.token("sqlite://user-gateway.db?mode=rwc", &["--user", "1"]);
    let address = format!("127.0.0.1:{}", free_port());
    let regions = format!("us=http://{address}");
    let secret = ["--rpc-secret", "a-secret-of-the-fleet"];
    let control = ["serve", "--silo", "control", "--regions", &regions];
    let control = scratch.start(&[&control[..], &secret].concat());
    let region = [
        "serve",
        "--silo",
        "region",
        "--region",
        "us",
        "--control-url",
        &control.origin,
        "--listen",
        &address,
    ];
    let region = scratch.start_with(&[&region[..], &secret].concat(), &[]);
    let arguments = [&*region.origin, &*token, &*control.origin];
    let said = run_script("graphiql.mjs", &arguments);
    let check = "a change made by another client shows up in a subscription";
    assert!(said.contains(check), "{said}");
}
