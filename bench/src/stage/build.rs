//! Which binary of the gateway is measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::note;

/// The binary that was named, or the one of this workspace, built for release just now so that it
/// is never an old one.
pub(crate) fn gateway(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        ensure!(path.exists(), "there is no {}", path.display());
        return Ok(path.canonicalize()?);
    }
    let own = std::env::current_exe()?;
    let beside = own.with_file_name("user-gateway");
    ensure!(
        own.parent()
            .is_some_and(|folder| folder.ends_with("release")),
        "run this with `cargo run --release`, or name a binary of the gateway with --gateway; \
         what was not built for release is not worth measuring"
    );
    note("building the gateway for release");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "user-gateway"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .context("cannot run cargo; name a binary of the gateway with --gateway")?;
    ensure!(built.success(), "the gateway does not build");
    ensure!(beside.exists(), "there is no {}", beside.display());
    Ok(beside)
}
