//! What a query asks for. Names that no check has are tolerated, as etcd does: a probe must not
//! fail because it was written for another version.

use crate::health::Check;

/// The alarms' names in etcd's `exclude`, and the checks of ours that they mean. A disk that is low
/// is an alarm that is about to come.
const ALARMS: [(&str, &[&str]); 2] =
    [("NOSPACE", &["space", "disk"]), ("CORRUPT", &["data_corruption"])];

/// What a linearizable answer needs and a serializable one does not.
const LINEARIZABLE: &str = "linearizable_read";

/// A query, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ask {
    excluded: Vec<String>,
    /// On `/health`: this member alone is asked about.
    pub serializable: bool,
    /// The list of checks is wanted in any case.
    pub verbose: bool,
    pub json: bool,
}

impl Ask {
    pub(super) fn of(pairs: &[(String, String)]) -> Self {
        let first = |name: &str| pairs.iter().find(|(key, _)| key == name);
        let excluded = pairs.iter().filter(|(key, value)| key == "exclude" && !value.is_empty());
        Self {
            excluded: excluded.map(|(_, value)| value.clone()).collect(),
            // Exactly this word; etcd's clients rely on nothing else.
            serializable: first("serializable").is_some_and(|(_, value)| value == "true"),
            verbose: first("verbose").is_some(),
            json: first("format").is_some_and(|(_, value)| value == "json"),
        }
    }

    /// For `/health`, where alarms are excluded by their names.
    pub(super) fn wants_of_health(&self, check: &Check) -> bool {
        let is_alarm = |name: &str| {
            let meant = ALARMS.iter().find(|(alarm, _)| *alarm == name);
            meant.is_some_and(|(_, checks)| checks.contains(&check.name))
        };
        let excluded = self.excluded.iter().any(|name| is_alarm(name));
        self.wants(check) && !excluded && !(self.serializable && check.name == LINEARIZABLE)
    }

    pub(super) fn wants(&self, check: &Check) -> bool {
        self.excluded.iter().all(|name| name != check.name)
    }

    /// Excluded names that none of these checks has.
    pub(super) fn unmatched<'a>(&'a self, checks: &[&Check]) -> Vec<&'a str> {
        let names = self.excluded.iter().map(String::as_str);
        names.filter(|name| checks.iter().all(|check| check.name != *name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Part, Status};

    fn ask(query: &[(&str, &str)]) -> Ask {
        let pairs: Vec<_> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ask::of(&pairs)
    }

    fn check(name: &'static str) -> Check {
        Check::new(name, Part::Store, &[], Status::Ok)
    }

    #[test]
    fn words_are_taken_exactly() {
        for (query, serializable, verbose, json) in [
            (&[][..], false, false, false),
            (&[("serializable", "true")], true, false, false),
            (&[("serializable", "TRUE")], false, false, false),
            (&[("serializable", "1")], false, false, false),
            (&[("serializable", "false"), ("serializable", "true")], false, false, false),
            (&[("verbose", "")], false, true, false),
            (&[("verbose", "false")], false, true, false),
            (&[("format", "json")], false, false, true),
            (&[("format", "yaml")], false, false, false),
        ] {
            let asked = ask(query);
            let found = (asked.serializable, asked.verbose, asked.json);
            assert_eq!(found, (serializable, verbose, json), "{query:?}");
        }
    }

    #[test]
    fn exclusion() {
        let asked = ask(&[("exclude", "serving"), ("exclude", ""), ("exclude", "NOSPACE")]);
        for (name, wanted, wanted_of_health) in [
            ("serving", false, false),
            ("space", true, false),
            ("disk", true, false),
            ("writable", true, true),
            ("data_corruption", true, true),
            ("linearizable_read", true, true),
        ] {
            let check = check(name);
            let found = (asked.wants(&check), asked.wants_of_health(&check));
            assert_eq!(found, (wanted, wanted_of_health), "{name}");
        }
        assert_eq!(asked.unmatched(&[&check("serving")]), ["NOSPACE"]);
        let local = ask(&[("serializable", "true")]);
        assert!(!local.wants_of_health(&check("linearizable_read")));
        assert!(local.wants_of_health(&check("serializable_read")));
    }
}
