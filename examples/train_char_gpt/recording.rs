//! The run is recorded: all that training has to do with quantviz.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use quantviz::record::Recorder;
use quantviz::store::SessionStore;

use crate::Options;

/// Begins to record, if that is asked for.
pub(crate) fn begin(options: &Options, characters: &[char]) -> Result<Option<Recorder>, Box<dyn Error>> {
    if options.every == 0 {
        return Ok(None);
    }
    let session = options.session.clone().unwrap_or_else(|| format!("char-gpt-{}", seconds_now()));
    let recorder = Recorder::builder(&session)
        .name("a small GPT learns English")
        .tag("seed", options.seed.to_string())
        .every_steps(options.every)
        .share(options.share)
        .tokens(characters.iter().map(char::to_string))
        .to(SessionStore::create(&options.store)?)
        .start()?;
    println!("recorded as {session} in {}", options.store);
    Ok(Some(recorder))
}

/// The run is over.
pub(crate) fn end(recorder: Recorder, options: &Options) {
    let state = recorder.finish();
    println!(
        "{} snapshots, {:.1} MB, in {}; recording took {:.2} % of the time of training, {:.1} ms at most",
        state.snapshots,
        state.bytes as f64 / 1e6,
        options.store,
        state.share * 100.0,
        state.longest.as_secs_f64() * 1e3,
    );
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
