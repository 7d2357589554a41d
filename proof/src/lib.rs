//! Proof under faults: what Tenbells promises, judged from what publishers and readers saw.
//!
//! [`history`] is the record of a run, [`judge`] the rules it has to keep, [`legal`] makes histories that keep them, and
//! [`plant`] breaks those in one way each, so that the judge itself is tested. docs/reliability.md has the whole of it.

pub mod history;
pub mod judge;
pub mod legal;
pub mod nemesis;
pub mod plant;
