//! The public audit suite of GraphQL over HTTP, which clients in use rely on.

use crate::harness::{Scratch, run_script};

#[tokio::test]
#[ignore = "needs Node.js"]
async fn every_audit_of_the_public_suite_passes() {
    let scratch = Scratch::new();
    let mut process = scratch.start(&["demo"]);
    process.said("graphiql");
    let token = process.said("token");
    let url = format!("{}/graphql", process.origin);
    let said = run_script("audit.mjs", &[&url, &token]);
    assert!(said.contains("audits ok"), "{said}");
}
