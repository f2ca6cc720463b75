//! Which binaries are measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::note;

/// The binary of the gateway that was named, or that of this workspace.
pub(crate) fn gateway(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    binary("user-gateway", named)
}

/// The same for the server that is made as the manuals of its crates show it.
pub(crate) fn stock(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    binary("user-gateway-bench-stock", named)
}

/// A binary that was named, or one of this workspace, built for release just now so that it is
/// never an old one.
fn binary(package: &str, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        ensure!(path.exists(), "there is no {}", path.display());
        return Ok(path.canonicalize()?);
    }
    let own = std::env::current_exe()?;
    let beside = own.with_file_name(package);
    ensure!(
        own.parent()
            .is_some_and(|folder| folder.ends_with("release")),
        "run this with `cargo run --release`, or name the binary of {package}; what was not built \
         for release is not worth measuring"
    );
    note(format_args!("building {package} for release"));
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", package])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .context("cannot run cargo")?;
    ensure!(built.success(), "{package} does not build");
    ensure!(beside.exists(), "there is no {}", beside.display());
    Ok(beside)
}
