//! Where rules come from: packs of our own, files, folders, and objects in S3.
//!
//! Enters: the places that the config names. Leaves: files as text, in the order of the places (packs first) and by
//! name within a folder or prefix; or why one of them can't be read.

pub mod s3;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Semaphore;
use trailmeter_rules::{Diagnostic, Matching, RuleSet, SourceFile};

use super::packs;
use crate::s3::Location;

/// All rule files together; more than this is none.
const MAX_BYTES: usize = 64 << 20;
/// What takes longer to read is told.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Folders in folders.
const MAX_DEPTH: usize = 16;

/// Where rules come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSources {
    /// Packs of our own, by name.
    pub packs: Vec<String>,
    /// Files, folders and objects.
    pub places: Vec<Place>,
    /// Which of the rules that an event meets match it.
    pub matching: Matching,
}

/// A file, a folder, or what lies under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Path(PathBuf),
    /// In S3.
    S3(Location),
}

impl Place {
    /// Reads a place as people write it: a path, or `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// It is none, with what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Location::parse(text) {
            Some(location) => location.map(Self::S3),
            None if text.is_empty() => {
                Err("is empty: name a file, a folder or s3://BUCKET/PREFIX".to_owned())
            }
            None => Ok(Self::Path(PathBuf::from(text))),
        }
    }
}

/// Why rules can't be used.
#[derive(Debug)]
pub enum RulesError {
    /// A place can't be read: which, and why.
    Unreadable(String),
    /// They have errors: all diagnostics.
    Broken(Vec<Diagnostic>),
}

impl std::fmt::Display for RulesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(why) => f.write_str(why),
            Self::Broken(diagnostics) => {
                let errors: Vec<String> =
                    diagnostics.iter().filter(|found| found.is_error()).map(ToString::to_string).collect();
                let noun = if errors.len() == 1 { "error" } else { "errors" };
                write!(f, "{} {noun}\n{}", errors.len(), errors.join("\n\n"))
            }
        }
    }
}

impl std::error::Error for RulesError {}

impl RuleSources {
    /// Whether there is nothing to read.
    pub fn are_none(&self) -> bool {
        self.packs.is_empty() && self.places.is_empty()
    }

    /// Reads all files.
    ///
    /// # Errors
    /// One of them can't be read.
    pub async fn read(&self) -> Result<Vec<SourceFile>, RulesError> {
        let mut files: Vec<SourceFile> = self.packs.iter().filter_map(|name| packs::pack(name)).collect();
        for place in &self.places {
            let found = match place {
                Place::Path(path) => read_in_time(path).await,
                Place::S3(location) => s3::read(location).await,
            };
            files.extend(found.map_err(RulesError::Unreadable)?);
        }
        bounded(files)
    }

    /// Reads the files of this machine, and the packs.
    ///
    /// # Errors
    /// One of them can't be read.
    pub fn read_local(&self) -> Result<Vec<SourceFile>, RulesError> {
        let mut files: Vec<SourceFile> = self.packs.iter().filter_map(|name| packs::pack(name)).collect();
        for place in &self.places {
            if let Place::Path(path) = place {
                files.extend(read_path(path, OtherFiles::Refused).map_err(RulesError::Unreadable)?);
            }
        }
        bounded(files)
    }

    /// Makes files ready to be asked. Also returns their warnings.
    ///
    /// # Errors
    /// They have errors.
    pub fn compile(&self, files: &[SourceFile]) -> Result<(RuleSet, Vec<Diagnostic>), RulesError> {
        let loaded = RuleSet::load(files, self.matching);
        match loaded.rules {
            Some(rules) => Ok((rules, loaded.diagnostics)),
            None => Err(RulesError::Broken(loaded.diagnostics)),
        }
    }
}

fn bounded(files: Vec<SourceFile>) -> Result<Vec<SourceFile>, RulesError> {
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    if bytes > MAX_BYTES {
        let why = format!("the files hold {} MiB, more than {} MiB are none", bytes >> 20, MAX_BYTES >> 20);
        return Err(RulesError::Unreadable(why));
    }
    Ok(files)
}

/// What becomes of pipes and devices, whose end may never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherFiles {
    /// One that is named itself is read: a shell may put what a command prints there.
    Read,
    /// None is read.
    Refused,
}

/// Reads a path, unless that takes so long that whoever waits for it should be told. What hangs goes on hanging, so at
/// most one read does.
async fn read_in_time(path: &Path) -> Result<Vec<SourceFile>, String> {
    static READING: Semaphore = Semaphore::const_new(1);
    let shown = path.display().to_string();
    let path = path.to_owned();
    let read = async move {
        let turn = READING.acquire().await;
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read_path(&path, OtherFiles::Refused)
        });
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    };
    let late = |_| Err(format!("{shown} can't be read: it takes more than {} s", READ_TIMEOUT.as_secs()));
    tokio::time::timeout(READ_TIMEOUT, read).await.unwrap_or_else(late)
}

/// Reads a file, or all files of a folder whose names end in `.yaml` or `.yml`. The message names the fix. A folder
/// without any is one that holds nothing, of which rules that are read warn.
pub fn read_path(path: &Path, others: OtherFiles) -> Result<Vec<SourceFile>, String> {
    let mut paths = Vec::new();
    list(path, 0, others, &mut paths)?;
    if paths.is_empty() {
        let shown = path.display().to_string();
        return Ok(vec![SourceFile::new(format!("{}/", shown.trim_end_matches('/')), "")]);
    }
    paths.iter().map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> Result<SourceFile, String> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| format!("{shown} can't be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("{shown} is no text: save it as UTF-8 (byte {at} is not)")
    })?;
    Ok(SourceFile::new(shown, text))
}

/// The file itself, or the rule files below a folder, by name; hidden ones are left out, such as those by which
/// Kubernetes replaces a ConfigMap in one step.
fn list(path: &Path, depth: usize, others: OtherFiles, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} can't be read: {error}", path.display());
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_dir() {
        if !metadata.is_file() && (depth > 0 || others == OtherFiles::Refused) {
            return Err(format!("{} can't be read: it is no file but a pipe or a device", path.display()));
        }
        found.push(path.to_owned());
        return Ok(());
    }
    if depth > MAX_DEPTH {
        let path = path.display();
        return Err(format!(
            "{path} can't be read: more than {MAX_DEPTH} folders deep, or a link to one around it"
        ));
    }
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_rules = name.ends_with(".yaml") || name.ends_with(".yml");
        if !name.starts_with('.') && (is_rules || entry.is_dir()) {
            list(&entry, depth + 1, others, found)?;
        }
    }
    Ok(())
}
