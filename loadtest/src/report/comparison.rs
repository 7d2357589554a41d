//! Several servers beside one another, row by row, and where ours stands in each: ahead, level or behind.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Servers and their figures.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// The servers; the first is ours.
    pub subjects: Vec<Subject>,
    /// What was compared.
    pub rows: Vec<Row>,
    /// Servers that were skipped, each with the reason.
    pub absent: Vec<String>,
    /// What has to be known to read the figures.
    pub notes: Vec<String>,
}

/// A server.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// Its name in the JSON file.
    pub key: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// How it was set.
    pub settings: String,
    /// What a publisher can rely on once it has its answer.
    pub keeps: &'static str,
}

/// One figure of all servers.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name in the JSON file.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which is better.
    pub better: Better,
    /// For each server, a value of each round.
    pub values: Vec<Vec<f64>>,
}

/// Which of two figures is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// The smaller.
    Less,
    /// The larger.
    More,
    /// Neither: it is there to be known.
    Neither,
}

/// Smallest, middle and largest of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle; of an even number, the mean of the two middle ones.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

/// Where ours stands beside another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its worst round is better than the other's best.
    Ahead,
    /// The rounds of both overlap.
    Level,
    /// Its best round is worse than the other's worst.
    Behind,
}

impl Spread {
    /// Of `values`; none of nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        Some(Self {
            min: *values.first()?,
            median: f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]),
            max: *values.last()?,
        })
    }
}

impl Row {
    /// The spread of server number `subject`; none where it has no value.
    pub fn spread(&self, subject: usize) -> Option<Spread> {
        Spread::of(self.values.get(subject)?)
    }

    /// Where the first server stands beside server number `subject`; none where there is nothing to judge.
    pub fn standing(&self, subject: usize) -> Option<Standing> {
        let (ours, theirs) = (self.spread(0)?, self.spread(subject)?);
        let (ours, theirs) = match self.better {
            Better::Less => ((ours.min, ours.max), (theirs.min, theirs.max)),
            // Turned over, so that less is better.
            Better::More => ((-ours.max, -ours.min), (-theirs.max, -theirs.min)),
            Better::Neither => return None,
        };
        Some(if ours.1 < theirs.0 {
            Standing::Ahead
        } else if ours.0 > theirs.1 {
            Standing::Behind
        } else {
            Standing::Level
        })
    }
}

impl Comparison {
    /// In a few words, where the first server stands in `row`.
    pub fn verdict(&self, row: &Row) -> String {
        let names = |wanted: Standing| -> Vec<&str> {
            (1..self.subjects.len())
                .filter(|subject| row.standing(*subject) == Some(wanted))
                .map(|subject| self.subjects[subject].name)
                .collect()
        };
        let (ahead, level, behind) = (
            names(Standing::Ahead),
            names(Standing::Level),
            names(Standing::Behind),
        );
        if level.is_empty() && behind.is_empty() {
            return if ahead.is_empty() { "" } else { "ahead of all" }.to_owned();
        }
        [
            ("BEHIND", behind),
            ("level with", level),
            ("ahead of", ahead),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word} {}", names.join(", ")))
        .collect::<Vec<_>>()
        .join("; ")
    }

    /// As it stands in the JSON file.
    pub fn document(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let cells: Map<String, Value> = self
                    .subjects
                    .iter()
                    .enumerate()
                    .filter_map(|(at, subject)| {
                        Some((subject.key.to_owned(), json!(row.spread(at)?)))
                    })
                    .collect();
                let rounds: Map<String, Value> = self
                    .subjects
                    .iter()
                    .zip(&row.values)
                    .map(|(subject, values)| (subject.key.to_owned(), json!(values)))
                    .collect();
                json!({
                    "key": row.key,
                    "label": row.label,
                    "unit": row.unit,
                    "better": row.better,
                    "cells": cells,
                    "rounds": rounds,
                    "verdict": self.verdict(row),
                })
            })
            .collect();
        json!({
            "subjects": self.subjects,
            "rows": rows,
            "absent": self.absent,
            "notes": self.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(better: Better, values: &[&[f64]]) -> Comparison {
        let names = ["ours", "one", "two"];
        Comparison {
            subjects: names[..values.len()]
                .iter()
                .map(|name| Subject {
                    key: name,
                    name,
                    version: String::new(),
                    settings: String::new(),
                    keeps: "",
                })
                .collect(),
            rows: vec![Row {
                key: "k",
                label: "l",
                unit: "",
                better,
                values: values.iter().map(|all| all.to_vec()).collect(),
            }],
            ..Comparison::default()
        }
    }

    fn verdict(better: Better, values: &[&[f64]]) -> String {
        let all = comparison(better, values);
        all.verdict(&all.rows[0])
    }

    #[test]
    fn the_spread_has_the_middle() {
        let spread = Spread::of(&[4.0, 1.0, 2.0, 3.0]).expect("values");
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.5, 4.0));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn who_is_behind_is_said_first_and_loudly() {
        let ours: &[f64] = &[5.0, 6.0];
        assert_eq!(
            verdict(Better::Less, &[ours, &[7.0], &[8.0]]),
            "ahead of all"
        );
        assert_eq!(
            verdict(Better::More, &[ours, &[7.0], &[4.0]]),
            "BEHIND one; ahead of two"
        );
        assert_eq!(
            verdict(Better::Less, &[ours, &[4.0], &[5.5, 9.0]]),
            "BEHIND one; level with two"
        );
    }

    #[test]
    fn nothing_is_judged_where_nothing_is_better_or_measured() {
        assert_eq!(verdict(Better::Neither, &[&[1.0], &[2.0]]), "");
        assert_eq!(verdict(Better::Less, &[&[1.0], &[]]), "");
        assert_eq!(verdict(Better::Less, &[&[1.0]]), "");
    }

    #[test]
    fn the_file_has_every_round() {
        let file = comparison(Better::Less, &[&[1.0, 3.0], &[5.0]]).document();
        assert_eq!(file["rows"][0]["cells"]["ours"]["median"], 2.0);
        assert_eq!(file["rows"][0]["rounds"]["ours"], json!([1.0, 3.0]));
        assert_eq!(file["rows"][0]["verdict"], "ahead of all");
        assert_eq!(file["subjects"][1]["name"], "one");
    }
}
