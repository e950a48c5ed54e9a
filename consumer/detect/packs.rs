//! The rules that come with the program, and their runbooks.

use trailmeter_rules::SourceFile;

macro_rules! packs {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../rules/packs/", $name, ".yaml")))),*]
    };
}

macro_rules! runbooks {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../rules/packs/runbooks/", $name, ".md")))),*]
    };
}

/// All packs: name and text.
pub const PACKS: [(&str, &str); 5] =
    packs!["signatures", "credentials", "visibility", "exposure", "behaviour"];

/// The runbooks of the packs' rules: the alert's name and the text.
pub const RUNBOOKS: [(&str, &str); 26] = runbooks![
    "BucketOpenedToEveryoneByItsACL",
    "BucketOpenedToEveryoneByItsPolicy",
    "BucketOpenedUnderAConditionByItsPolicy",
    "BurstOfDeniedCalls",
    "ClientThatSignsWithSigV2ByDefault",
    "ConsoleSignInWithoutMFA",
    "EventDataStoreStoppedOrDeleted",
    "EventDeliveryCut",
    "LongLivedKeyUsedAgainAfterALongSilence",
    "LongLivedKeyUsedForTheFirstTime",
    "LongLivedKeyUsedFromOutside",
    "ManagementEventsSwitchedOff",
    "ManyDifferentCallsDenied",
    "NewRegionForAPrincipal",
    "NewServiceForAPrincipal",
    "ObjectOpenedToEveryoneByItsACL",
    "PresignedSigV2LinkOpenedFromOutside",
    "PublicAccessBlockOfABucketLifted",
    "PublicAccessBlockOfAnAccountLifted",
    "RootAccessKeyUsed",
    "RootAccountUsed",
    "S3DataEventsSwitchedOff",
    "SigV2CallFromANewNetwork",
    "SigV2CallToANewBucket",
    "TrailAltered",
    "TrailStoppedOrDeleted",
];

/// The pack of this name.
pub fn pack(name: &str) -> Option<SourceFile> {
    let found = PACKS.iter().find(|(known, _)| *known == name);
    found.map(|(name, text)| SourceFile::new(format!("pack:{name}"), *text))
}

/// Whether there is a runbook for this alert.
pub fn has_runbook(alert: &str) -> bool {
    RUNBOOKS.iter().any(|(name, _)| *name == alert)
}

#[cfg(test)]
mod tests {
    use trailmeter_rules::{Matching, RuleSet};

    use super::*;

    #[test]
    fn packs_are_sound_together_and_alone_and_have_runbooks() {
        let files: Vec<SourceFile> = PACKS.iter().filter_map(|(name, _)| pack(name)).collect();
        for files in files.iter().map(std::slice::from_ref).chain([files.as_slice()]) {
            let loaded = RuleSet::load(files, Matching::All);
            let problems: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
            assert!(problems.is_empty(), "{}", problems.join("\n"));
            for rule in loaded.rules.unwrap().rules() {
                assert!(has_runbook(&rule.alert_name()), "{} has no runbook", rule.name);
                assert!(rule.tests.len() >= 2, "{} has too few tests", rule.name);
                let expects =
                    |matches: bool| rule.tests.iter().any(|test| (test.matches != Some(0)) == matches);
                assert!(expects(true) && expects(false), "{} needs a match and a no-match", rule.name);
            }
        }
        assert_eq!(
            RUNBOOKS.len(),
            files.iter().map(|file| file.text.matches("\n- rule: ").count()).sum::<usize>()
        );
    }
}
