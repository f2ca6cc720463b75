//! The public audit suite of GraphQL over HTTP, which clients in use rely on.

use crate::harness::{Scratch, run_script};

#[test]
#[ignore = "needs Node.js"]
fn every_audit_of_the_public_suite_passes() {
    audit(&[]);
}

#[test]
#[ignore = "needs Node.js"]
fn every_audit_of_the_public_suite_passes_over_http2() {
    audit(&["http2"]);
}

fn audit(version: &[&str]) {
    let scratch = Scratch::new();
    let mut process = scratch.start(&["demo"]);
    process.said("graphiql");
    let token = process.said("token");
    let url = format!("{}/graphql", process.origin);
    let arguments = [&[&*url, &*token], version].concat();
    let said = run_script("audit.mjs", &arguments);
    assert!(said.contains("audits ok"), "{said}");
}
