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
pub const RUNBOOKS: [(&str, &str); 0] = runbooks![];

/// The pack of this name.
pub fn pack(name: &str) -> Option<SourceFile> {
    let found = PACKS.iter().find(|(known, _)| *known == name);
    found.map(|(name, text)| SourceFile::new(format!("pack:{name}"), *text))
}

/// Whether there is a runbook for this alert.
pub fn has_runbook(alert: &str) -> bool {
    RUNBOOKS.iter().any(|(name, _)| *name == alert)
}
