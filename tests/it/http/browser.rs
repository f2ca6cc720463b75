//! GraphiQL as a person uses it, in a browser without a window.

use crate::harness::{Scratch, run_script};

#[tokio::test]
#[ignore = "needs Chromium"]
async fn graphiql_works_in_a_browser() {
    let scratch = Scratch::new();
    let mut process = scratch.start(&["demo"]);
    process.said("graphiql");
    let token = process.said("token");
    let said = run_script("graphiql.mjs", &[&process.origin, &token]);
    assert!(said.contains("signing out forgets the token"), "{said}");
}
