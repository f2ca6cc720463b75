//! `check`, asked about other silos.

use crate::harness::{Fleet, SECRET, Scratch};

#[tokio::test(flavor = "multi_thread")]
async fn check_says_whether_the_other_silos_answer() {
    let fleet = Fleet::start(&["us"]).await;
    let region = |secret: &str| {
        let scratch = Scratch::new();
        let control = &fleet.control.origin;
        scratch.run(&[
            "check",
            "--silo",
            "region",
            "--region",
            "us",
            "--control-url",
            control,
            "--rpc-secret",
            secret,
        ])
    };
    let finished = region(SECRET);
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    let told = format!("control: a gateway at {}", fleet.control.origin);
    assert!(finished.stdout.contains(&told), "{finished:?}");
    let finished = region("another");
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stdout.contains("secret"), "{finished:?}");

    let us = format!("us={}", fleet.regions[0].origin);
    let url = fleet.database.url();
    let control = |regions: &str| {
        let scratch = Scratch::new();
        scratch.run(&[
            "check",
            "--silo",
            "control",
            "--database-url",
            url,
            "--regions",
            regions,
            "--rpc-secret",
            SECRET,
        ])
    };
    let finished = control(&us);
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert!(finished.stdout.contains("us: a gateway"), "{finished:?}");
    let finished = control(&format!("{us},de=http://127.0.0.1:1"));
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stdout.contains("failed   de"), "{finished:?}");
    assert!(
        finished.stderr.contains("1 of the other silos"),
        "{finished:?}"
    );
}
