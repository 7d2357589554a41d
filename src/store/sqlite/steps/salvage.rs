//! Steps behind a record that is lost: their authors knew more of the topic than is here.
//!
//! What says all that is needed is done all the same: a revision has the whole entry, so it stands also where the one
//! before it, or the entry itself, is lost. What can't be done is left out, and said in the log.

use rusqlite::params;

use super::{Group, StepError};
use crate::model::Epoch;
use crate::store::sqlite::rows::sql;
use crate::store::{Append, Appended, Refused, Step};

impl Group<'_> {
    /// Does of an append what can be done. A topic that it makes begins with this numbering: its own was used before.
    pub(in crate::store::sqlite) fn salvage(
        &mut self,
        append: &Append,
        epoch: &Epoch,
    ) -> rusqlite::Result<()> {
        let mut append = append.clone();
        if let Some(create) = &mut append.create {
            create.epoch = epoch.clone();
        }
        let append = &append;
        if self.taken(append.clone())?.is_ok() {
            return Ok(());
        }
        for step in &append.steps {
            self.salvage_step(append, step)?;
        }
        Ok(())
    }

    fn salvage_step(&mut self, append: &Append, step: &Step) -> rusqlite::Result<()> {
        let Err(refused) = self.taken(alone(append, step.clone()))? else {
            return Ok(());
        };
        let again = match (&refused, step) {
            (Refused::Stale { .. }, _) if self.skip_revisions(append, step)? => step.clone(),
            (Refused::NoEntry(_), Step::Revise(write, _)) => Step::Publish(write.clone()),
            (Refused::NoEntry(_), Step::ReviseHeld(write, _, until)) => {
                Step::Hold(write.clone(), *until)
            }
            _ => {
                leave_out(append, step, &refused);
                return Ok(());
            }
        };
        if let Err(refused) = self.taken(alone(append, again))? {
            leave_out(append, step, &refused);
        }
        Ok(())
    }

    fn taken(&mut self, append: Append) -> rusqlite::Result<Result<Appended, Refused>> {
        match self.apply(append) {
            Ok(appended) => Ok(Ok(appended)),
            Err(StepError::Refused(refused)) => Ok(Err(refused)),
            Err(StepError::Sqlite(error)) => Err(error),
        }
    }

    /// Brings what a step is about to the revision that it expects: those between are lost. Whether it expects one.
    fn skip_revisions(&mut self, append: &Append, step: &Step) -> rusqlite::Result<bool> {
        let Some(mut row) = self.topics.get(&append.topic).cloned() else {
            return Ok(false);
        };
        let (table, id, expect) = match step {
            Step::Revise(write, expect) => ("entry", &write.id, *expect),
            Step::ReviseHeld(write, expect, _) => ("held", &write.id, *expect),
            Step::Retract {
                id,
                expect: Some(expect),
                ..
            } => ("entry", id, *expect),
            Step::DropHeld {
                id,
                expect: Some(expect),
            } => ("held", id, *expect),
            Step::Topic { expect, .. } => {
                row.revision = *expect;
                self.topics.insert(append.topic.clone(), row);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.connection.execute(
            &format!("UPDATE {table} SET revision = ?3 WHERE topic_id = ?1 AND entry_id = ?2"),
            params![row.id, id.as_str(), sql(expect)],
        )?;
        Ok(true)
    }
}

/// One step of an append as an append of its own. The key of several stands for none of them.
fn alone(append: &Append, step: Step) -> Append {
    let is_only = append.steps.len() == 1;
    Append {
        topic: append.topic.clone(),
        create: append.create.clone(),
        steps: vec![step],
        idempotency: append.idempotency.clone().filter(|_| is_only),
        actor: append.actor.clone(),
    }
}

fn leave_out(append: &Append, step: &Step, refused: &Refused) {
    tracing::error!(
        topic = %append.topic, step = step.name(), %refused,
        "a step of the log that builds on a lost record is left out"
    );
}
