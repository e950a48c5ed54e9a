//! What a scan reads: files and objects, in an order of their own.

use std::path::{Path, PathBuf};

use super::layout::{Found, PassedOver, Wanted};
use super::s3::Object;
use crate::source::files::{STDIN, list};

/// One file, wherever it is.
#[derive(Clone, Debug)]
pub enum Input {
    /// On this machine.
    File {
        /// Where; `-` for standard input.
        path: PathBuf,
        /// Its bytes when it was found.
        bytes: u64,
    },
    /// In S3.
    Object(Object),
}

impl Input {
    /// How it is named to people.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File { path, .. } => path.clone(),
            Self::Object(object) => PathBuf::from(object.name()),
        }
    }

    /// As many bytes as it has where it lies.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Object(object) => object.size,
        }
    }

    /// Whether its end is not known before it comes.
    pub fn is_stdin(&self) -> bool {
        matches!(self, Self::File { path, .. } if path == Path::new(STDIN))
    }
}

/// The files that a path of this machine names, without those that are not wanted; what was found below a folder, or by
/// a glob, is also refused by its day and its kind.
///
/// # Errors
/// It is not there or can't be read, in words that name it.
pub fn local(path: &str, wanted: &Wanted, passed: &mut PassedOver) -> Result<Vec<Input>, String> {
    let files = list(&[path.to_owned()])?;
    let named = named(path);
    let asked_for_whole = Wanted { first_day: None, last_day: None, ..wanted.clone() };
    let mut inputs = Vec::new();
    for file in files {
        let whole =
            std::path::absolute(&file).unwrap_or_else(|_| file.clone()).to_string_lossy().into_owned();
        let is_named = file == Path::new(path);
        let (wanted, named) = if is_named { (&asked_for_whole, &whole) } else { (wanted, &named) };
        match wanted.refuses(Found::File(&whole), named) {
            Some(reason) => passed.add(Found::File(&whole), reason),
            None => {
                // Standard input, whatever file may have that name.
                let metadata = Some(file.metadata()).filter(|_| file != Path::new(STDIN));
                let bytes = metadata.and_then(Result::ok).map_or(0, |metadata| metadata.len());
                inputs.push(Input::File { path: file, bytes });
            }
        }
    }
    Ok(inputs)
}

/// The part of a path that is no pattern.
fn named(path: &str) -> String {
    let parts = path.split('/').take_while(|part| !part.contains(['*', '?', '[']));
    let plain = parts.collect::<Vec<_>>().join("/");
    let absolute = std::path::absolute(&plain).unwrap_or_else(|_| PathBuf::from(&plain));
    absolute.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::layout::Reason;

    #[test]
    fn files_are_passed_over_by_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let days =
            ["01", "02", "03"].map(|day| format!("AWSLogs/111122223333/CloudTrail/us-east-1/2025/07/{day}"));
        let digest = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2025/07/01".to_owned();
        for name in days.iter().chain([&digest]) {
            std::fs::create_dir_all(at(name)).unwrap();
            std::fs::write(at(&format!("{name}/1.json")), "").unwrap();
        }
        let wanted = Wanted { first_day: Some([2025, 7, 2]), ..Wanted::default() };
        let of_another = Wanted { accounts: vec!["444455556666".to_owned()], ..wanted.clone() };
        for (path, wanted, read, reasons) in [
            ("", &wanted, 2, &[Reason::Day, Reason::Digest][..]),
            ("AWSLogs/*/CloudTrail", &wanted, 2, &[Reason::Day]),
            // What is named itself is read.
            (&format!("{}/1.json", days[0]), &wanted, 1, &[]),
            (&format!("{digest}/1.json"), &wanted, 1, &[]),
            ("AWSLogs/111122223333/CloudTrail-Digest", &Wanted::default(), 1, &[]),
            // Unless another account is.
            (&format!("{}/1.json", days[0]), &of_another, 0, &[Reason::Account]),
        ] {
            let mut passed = PassedOver::default();
            let inputs = local(&at(path), wanted, &mut passed).unwrap();
            let found: Vec<Reason> = passed.files.keys().copied().collect();
            assert_eq!((inputs.len(), &found[..]), (read, reasons), "{path}");
        }
    }
}
