//! Stores of sessions in the services that people keep objects in, or what stands in for these on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::install::{self, Need};
use crate::metadata::Metadata;
use crate::process::{cargo, make_folder, run as show};
use crate::server::{Server, free_address};

/// The bucket, or container.
const BUCKET: &str = "runs";

/// What is written in it is what every other store keeps, over a line that breaks as well.
pub(crate) fn test() -> Result {
    if !cfg!(unix) {
        println!("skipped: the servers are started by a shell");
        return Ok(());
    }
    let folder = Metadata::of_workspace()?.target_directory.join("object-stores");
    make_folder(&folder)?;
    let outcomes = [s3(&folder), azure(&folder)];
    outcomes.into_iter().collect()
}

fn s3(folder: &Path) -> Result {
    let python = install::python("fixtures/object-stores/requirements.txt")?;
    let server = Server::start(&folder.join("moto.log"), |port| {
        let mut command = Command::new(&python);
        command.args(["-m", "moto.server", "--host", "127.0.0.1", "--port", &port.to_string()]);
        command
    })?;
    server.put(&format!("/{BUCKET}"))?;
    suite(&server, "s3", |test, line| {
        test.env("AWS_ENDPOINT", line)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "moto")
            .env("AWS_SECRET_ACCESS_KEY", "moto")
            .env("AWS_TIMEOUT", TIMEOUT);
    })
}

/// A service that says nothing is given up after so long; the usual 30 seconds would only make the tests longer.
const TIMEOUT: &str = "3 seconds";

fn azure(folder: &Path) -> Result {
    let azurite = azurite(folder)?;
    let server = Server::start(&folder.join("azurite.log"), |port| {
        let mut command = Command::new("node");
        command.arg(&azurite).args(["--inMemoryPersistence", "--blobHost", "127.0.0.1"]);
        command.args(["--blobPort", &port.to_string()]);
        command
    })?;
    let mut make = Command::new("node");
    make.arg("fixtures/object-stores/make_container.mjs");
    show(make.arg(format!("http://{}", server.address)).arg(BUCKET))?;
    suite(&server, "az", |test, line| {
        test.env("AZURE_STORAGE_USE_EMULATOR", "true")
            .env("AZURITE_BLOB_STORAGE_URL", line)
            .env("AZURE_TIMEOUT", TIMEOUT);
    })
}

/// Azurite's service for blobs, installed.
fn azurite(folder: &Path) -> Result<PathBuf> {
    install::programs(&[Need { package: "nodejs", sign: "node" }, Need { package: "npm", sign: "npm" }])?;
    for name in ["package.json", "package-lock.json"] {
        let from = Path::new("fixtures/object-stores").join(name);
        std::fs::copy(&from, folder.join(name)).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    show(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder))?;
    Ok(folder.join("node_modules/azurite/dist/src/blob/main.js"))
}

/// The tests of stores and of recorders, which find the service at the other end of a line of their own.
fn suite(server: &Server, scheme: &str, service_at: impl FnOnce(&mut Command, &str)) -> Result {
    let line = free_address()?;
    let mut test = cargo(["test", "--package", "quantviz-store", "--package", "quantviz-record"]);
    test.args(["--features", "quantviz-store/cloud", "--test", "cloud", "--", "--include-ignored"]);
    // They share the line.
    test.arg("--test-threads=1");
    service_at(&mut test, &format!("http://{line}"));
    test.env("QUANTVIZ_CLOUD_STORE", format!("{scheme}://{BUCKET}/tests"));
    test.env("QUANTVIZ_CLOUD_LINE", line.to_string());
    test.env("QUANTVIZ_CLOUD_SERVER", server.address.to_string());
    show(&mut test)
}
