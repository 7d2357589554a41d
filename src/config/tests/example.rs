//! The example file, the form and the table of bounds say the same.

use toml::Value;

use super::super::bounds::{Kind, SETTINGS};
use super::*;

/// The example with the settings that have no fixed default taken out of their comments.
fn whole_example() -> String {
    let bring_in = |line: &'static str| {
        let setting = line.strip_prefix("# ").filter(|rest| {
            rest.split_once(" = ")
                .is_some_and(|(name, _)| !name.contains(' '))
        });
        setting.unwrap_or(line)
    };
    Config::example()
        .lines()
        .map(bring_in)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_is_the_default() {
    assert_eq!(
        load_all(Config::example(), &[], &[]).expect("the example loads"),
        Settings::defaults(MACHINE)
    );
}

#[test]
fn the_form_the_bounds_and_the_example_have_the_same_settings() {
    let settings = load(&whole_example()).expect("the whole example loads");
    assert!(settings.public_url.is_some());
    let mut named: Vec<_> = SETTINGS.iter().map(|s| s.key.to_owned()).collect();
    named.sort();
    let written: toml::Table = toml::from_str(&whole_example()).expect("TOML");
    assert_eq!(keys(&written), named, "the example");
    let whole = load_all(&whole_example(), &[], &[]).expect("loads");
    let printed = whole.to_toml().expect("TOML");
    let form: toml::Table = toml::from_str(&printed).expect("TOML");
    assert_eq!(keys(&form), named, "the form");
}

fn keys(table: &toml::Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => keys.extend(inner.keys().map(|key| format!("{name}.{key}"))),
            _ => keys.push(name.clone()),
        }
    }
    keys.sort();
    keys
}

#[test]
fn the_example_says_the_unit_and_the_bounds_of_every_number() {
    let mut table = String::new();
    let mut comment = String::new();
    let mut seen = 0;
    for line in Config::example().lines() {
        let setting = line.strip_prefix("# ").unwrap_or(line).split_once(" = ");
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            table = format!("{name}.");
            comment.clear();
        } else if let Some((name, _)) = setting.filter(|(name, _)| !name.contains(' ')) {
            let key = format!("{table}{name}");
            let setting = SETTINGS.iter().find(|s| s.key == key).expect(&key);
            if let Kind::Integer { min, max, unit } = setting.kind {
                let bounds = format!("rom {min} to {max}");
                let with_unit = format!("{bounds} {unit}");
                let measured = matches!(unit, "ms" | "bytes" | "s");
                let said = if measured { with_unit } else { bounds };
                assert!(comment.contains(&said), "{key} lacks {said:?}: {comment}");
                seen += 1;
            }
            comment.clear();
        } else {
            comment.push_str(line);
        }
    }
    let numbers = SETTINGS
        .iter()
        .filter(|s| matches!(s.kind, Kind::Integer { .. }));
    assert_eq!(seen, numbers.count());
}

#[test]
fn every_default_is_within_its_bounds() {
    // Printed and read again, so that each default counts as set.
    let printed = Settings::defaults(MACHINE).to_toml().expect("TOML");
    load(&printed).expect("within bounds");
}
