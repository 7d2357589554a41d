//! Proof under faults: what Tenbells promises, judged from what publishers and readers saw.
//!
//! [`history`] is the record of a run, [`judge`] the rules it has to keep, [`legal`] makes histories that keep them, and
//! [`plant`] breaks those in one way each, so that the judge itself is tested. [`sim`] is the seeded simulation, whose
//! histories are judged; [`faults`] injects faults into real processes and files, [`nemesis`] into clusters.
//! docs/reliability.md has the whole of it.

pub mod faults;
pub mod history;
pub mod judge;
pub mod legal;
mod namespace;
pub mod nemesis;
pub mod plant;
pub mod sim;
