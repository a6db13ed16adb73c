//! What an export says of where it comes from.

use quantviz_core::{Error, PlanHeader, Run, RunNote};
use serde::Serialize;

use super::Result;
use super::pieces::{Pieces, PlanOf};

pub(super) const SCHEMA: &str = "quantviz.session_export/1";

/// The session, and the plans of all that was taken from it.
#[derive(Serialize)]
pub(super) struct About<'a> {
    schema: &'static str,
    session: &'a str,
    first_step: u64,
    last_step: u64,
    ranks: u32,
    plans: Vec<AboutPlan<'a>>,
    notes: &'a [RunNote],
}

#[derive(Serialize)]
struct AboutPlan<'a> {
    rank: u32,
    from_step: u64,
    id: &'a str,
    plan: &'a PlanHeader,
}

impl<'a> About<'a> {
    pub(super) fn of(
        run: &'a Run<'_>,
        pieces: &Pieces<'_>,
        plans: &'a [PlanOf],
        notes: &'a [RunNote],
    ) -> Self {
        let (first_step, last_step) = pieces.ends().unwrap_or_default();
        let plans = plans.iter().map(|it| AboutPlan {
            rank: it.rank,
            from_step: it.step,
            id: it.plan.id(),
            plan: it.plan.header(),
        });
        About {
            schema: SCHEMA,
            session: run.id().as_str(),
            first_step,
            last_step,
            ranks: run.timeline().ranks(),
            plans: plans.collect(),
            notes,
        }
    }

    pub(super) fn to_json(&self) -> Result<String> {
        let odd =
            |error| Error::malformed(format!("what is known of the session cannot be written: {error}"));
        serde_json::to_string(self).map_err(|error| odd(error).into())
    }
}
