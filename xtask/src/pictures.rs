//! `pictures`: screenshots of a real terminal, and of a page and a notebook in a real browser, for the documentation.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::install::{self, Need};
use crate::metadata::Metadata;
use crate::process::{make_folder, run as show};

struct Picture {
    name: &'static str,
    columns: u32,
    /// Enough for all that the command prints; what stays empty is cut off.
    rows: u32,
    command: &'static str,
}

const PICTURES: &[Picture] = &[
    Picture {
        name: "cli-inspect",
        columns: 140,
        rows: 80,
        command: "quantviz inspect fixtures/resnet8/resnet8_int8.onnx",
    },
    Picture {
        name: "cli-layers",
        columns: 140,
        rows: 80,
        command: "quantviz layers fixtures/resnet8/resnet8_int8.onnx",
    },
    Picture {
        name: "cli-compare",
        columns: 100,
        rows: 60,
        command: "quantviz compare fixtures/resnet8/resnet8.pt fixtures/resnet8/resnet8_int8.onnx",
    },
    Picture {
        name: "cli-sessions",
        columns: 90,
        rows: 60,
        command: "quantviz sessions show char-gpt --store fixtures/runs",
    },
];

/// The page of a report, light, as high as its beginning is worth.
struct PagePicture {
    name: &'static str,
    /// What `report` is given.
    of: &'static [&'static str],
    width: u32,
    height: u32,
}

const PAGES: &[PagePicture] = &[
    PagePicture { name: "report", of: &["fixtures/resnet8"], width: 1140, height: 952 },
    PagePicture { name: "run", of: &["char-gpt", "--store", "fixtures/runs"], width: 1140, height: 1100 },
];

const FOLDER: &str = "docs/pictures";

/// Pictures are in every clone of the repository.
const MOST_BYTES: u64 = 60_000;

const NEEDS: &[Need] = &[
    Need { package: "xvfb", sign: "Xvfb" },
    Need { package: "xterm", sign: "xterm" },
    Need { package: "imagemagick", sign: "import" },
    Need { package: "chromium", sign: "chromium" },
    Need { package: "fonts-dejavu-core", sign: "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf" },
];

const BACKGROUND: &str = "#16181d";
const TEXT: &str = "#d7dae0";

/// The sixteen colours of the terminal: xterm's own blue cannot be read on a dark background.
const PALETTE: [&str; 16] = [
    "#2a2e37", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4", //
    "#7f8694", "#f28b93", "#b5e090", "#f2d49b", "#8cc8ff", "#dc9cf0", "#7fd6e0", "#ffffff",
];

pub(crate) fn run(args: &[String]) -> Result {
    crate::no_options(args)?;
    install::programs(NEEDS)?;
    let workspace = Metadata::of_workspace()?;
    let quantviz = crate::quantviz::build(&workspace)?;
    let scratch = workspace.target_directory.join("pictures");
    make_folder(&scratch)?;
    make_folder(Path::new(FOLDER))?;
    let display = Display::open()?;
    PICTURES.iter().try_for_each(|picture| picture.take(&display, &quantviz, &scratch))?;
    PAGES.iter().try_for_each(|picture| picture.take(&quantviz, &scratch))?;
    take_notebook(&scratch)
}

/// Cells of code that are on the picture of the notebook, from the top, and how much of them.
const CELLS: &str = "3";
const NOTEBOOK: [u32; 2] = [1000, 960];

/// The beginning of the notebook, with what it holds, as a browser shows it.
fn take_notebook(scratch: &Path) -> Result {
    let page = scratch.join("notebook.html");
    let mut python = Command::new(install::python("fixtures/notebook/requirements.txt")?);
    python.args(["fixtures/notebook/run.py", "page", "notebooks/inspect.ipynb"]);
    show(python.arg(&page).arg(CELLS))?;
    let raw = shoot(&page, NOTEBOOK)?;
    finish("notebook", &raw, "white")
}

impl Picture {
    fn take(&self, display: &Display, quantviz: &Path, scratch: &Path) -> Result {
        let terminal = Terminal::open(self, display, quantviz, scratch)?;
        let raw = scratch.join(format!("{}.png", self.name));
        show(display.client("import").args(["-window", &terminal.window]).arg(&raw))?;
        finish(self.name, &raw, BACKGROUND)
    }
}

impl PagePicture {
    fn take(&self, quantviz: &Path, scratch: &Path) -> Result {
        let page = scratch.join(format!("{}.html", self.name));
        show(Command::new(quantviz).arg("report").args(self.of).arg("-o").arg(&page))?;
        let raw = shoot(&page, [self.width, self.height])?;
        finish(self.name, &raw, "#ffffff")
    }
}

/// The upper part of a page in a browser: a picture beside it.
fn shoot(page: &Path, [width, height]: [u32; 2]) -> Result<PathBuf> {
    let raw = page.with_extension("png");
    let mut chromium = Command::new("chromium");
    chromium.args([
        "--headless",
        "--no-sandbox",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--disable-background-networking",
        "--disable-quic",
        "--no-first-run",
        "--hide-scrollbars",
    ]);
    // A notebook asks the network for mathematics, and waits for it where there is none.
    chromium.args(["--host-resolver-rules=MAP * 127.0.0.1", "--virtual-time-budget=5000"]);
    chromium.arg(format!("--window-size={width},{height}"));
    chromium.arg(format!("--screenshot={}", raw.display()));
    show(chromium.arg(format!("file://{}", page.display())))?;
    Ok(raw)
}

/// Makes a picture of the documentation of a screenshot.
fn finish(name: &str, raw: &Path, background: &str) -> Result {
    let file = PathBuf::from(format!("{FOLDER}/{name}.png"));
    shrink(raw, &file, background)?;
    let bytes = file.metadata().map_err(|error| format!("{}: {error}", file.display()))?.len();
    println!("{}: {bytes} bytes", file.display());
    if bytes > MOST_BYTES {
        return Err(format!("{} is larger than {MOST_BYTES} bytes: show less", file.display()));
    }
    Ok(())
}

/// Cuts the empty rest off, puts an even border around, and keeps as few colours as look the same.
fn shrink(raw: &Path, file: &Path, background: &str) -> Result {
    let mut convert = Command::new("convert");
    convert.arg(raw).args(["-trim", "+repage", "-bordercolor", background, "-border", "16"]);
    convert.args(["+dither", "-colors", "64", "-strip", "-define", "png:compression-level=9"]);
    // Without the time of day, which would make every picture a new one.
    convert.args(["-define", "png:exclude-chunks=date,time"]).arg(format!("png8:{}", file.display()));
    show(&mut convert)
}

/// A program that runs as long as this value lives.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A screen that nobody sees.
struct Display {
    name: String,
    _server: Running,
}

impl Display {
    fn open() -> Result<Self> {
        // It chooses a free number and tells it once clients may connect.
        let server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0", "1400x1400x24"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut server = Running(server.map_err(|error| format!("cannot start Xvfb: {error}"))?);
        let mut number = String::new();
        if let Some(stdout) = server.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut number).map_err(|error| format!("Xvfb: {error}"))?;
        }
        match number.trim() {
            "" => Err("Xvfb ended before it had a display".into()),
            number => Ok(Self { name: format!(":{number}"), _server: server }),
        }
    }

    /// A program that draws on this screen.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.name);
        command
    }
}

/// A terminal in which a command has run.
struct Terminal {
    window: String,
    _xterm: Running,
}

impl Terminal {
    fn open(picture: &Picture, display: &Display, quantviz: &Path, scratch: &Path) -> Result<Self> {
        let ready = scratch.join(format!("{}.window", picture.name));
        let _ = std::fs::remove_file(&ready);
        let mut xterm = display.client("xterm");
        xterm.args(["-u8", "+sb", "-b", "8", "-fa", "DejaVu Sans Mono", "-fs", "10"]);
        xterm.args(["-bg", BACKGROUND, "-fg", TEXT, "-tn", "xterm-256color"]);
        xterm.args(["-geometry", &format!("{}x{}+0+0", picture.columns, picture.rows)]);
        for (index, colour) in PALETTE.iter().enumerate() {
            xterm.args(["-xrm", &format!("XTerm*color{index}: {colour}")]);
        }
        // The cursor is hidden; the number of the window, which xterm knows, says that the command is done.
        let script = format!(
            "tput civis; echo '$ {command}'; {command}; echo $WINDOWID > \"$READY.part\"; \
             mv \"$READY.part\" \"$READY\"; exec sleep 600",
            command = picture.command
        );
        xterm.args(["-e", "sh", "-c", &script]);
        xterm.env("READY", &ready).env("PATH", path_with(quantviz)?).env("LC_ALL", "C.UTF-8");
        let xterm = xterm.spawn().map_err(|error| format!("cannot start xterm: {error}"))?;
        let xterm = Running(xterm);
        Ok(Self { window: wait_for(&ready)?, _xterm: xterm })
    }
}

/// The search path with the folder of this program before all others.
fn path_with(program: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = program.parent().map(PathBuf::from).into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).map_err(|error| error.to_string())
}

fn wait_for(file: &Path) -> Result<String> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if let Ok(text) = std::fs::read_to_string(file) {
            // The command has written everything, and the terminal paints it a moment later.
            sleep(Duration::from_millis(700));
            return Ok(text.trim().into());
        }
        sleep(Duration::from_millis(50));
    }
    Err("the terminal did not finish in a minute".into())
}
