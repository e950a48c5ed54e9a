//! Which files the config's paths name.

use std::path::{Path, PathBuf};

use super::STDIN;

/// All files, in the order of `paths`, within a folder or glob by name. Hidden files are left out.
pub fn list(paths: &[String]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        let found = Path::new(path);
        if path == STDIN || found.is_file() {
            files.push(found.to_owned());
        } else if found.is_dir() {
            folder(found, &mut files)?;
        } else if found.exists() {
            // A pipe or a device: read like a file.
            files.push(found.to_owned());
        } else {
            matching(path, &mut files)?;
        }
    }
    Ok(files)
}

fn folder(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut entries =
        entries.collect::<Result<Vec<_>, _>>().map_err(|error| format!("{}: {error}", path.display()))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // The entry itself tells what it is, unless it is a link.
        let kind = entry.file_type().ok().filter(|kind| !kind.is_symlink());
        if kind.map_or_else(|| path.is_dir(), |kind| kind.is_dir()) {
            folder(&path, files)?;
        } else if kind.map_or_else(|| path.is_file(), |kind| kind.is_file()) {
            files.push(path);
        }
    }
    Ok(())
}

fn matching(pattern: &str, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let is_glob = pattern.contains(['*', '?', '[']);
    if !is_glob {
        return Err(format!("{pattern}: no such file or folder"));
    }
    let matches = glob::glob(pattern).map_err(|error| format!("{pattern}: not a glob: {error}"))?;
    for path in matches {
        let path = path.map_err(|error| format!("{}: {}", error.path().display(), error.error()))?;
        if path.is_dir() {
            folder(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_globs_and_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir_all(at("b/c")).unwrap();
        for name in ["b/c/3.json", "b/2.json.gz", "a.json", ".hidden", "b/.part"] {
            std::fs::write(at(name), "").unwrap();
        }
        let names = |paths: &[String]| {
            let files = list(paths).unwrap();
            files
                .iter()
                .map(|f| f.strip_prefix(folder.path()).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&[at("")]), ["a.json", "b/2.json.gz", "b/c/3.json"]);
        assert_eq!(names(&[at("b"), at("a.json")]), ["b/2.json.gz", "b/c/3.json", "a.json"]);
        assert_eq!(names(&[at("**/*.json")]), ["a.json", "b/c/3.json"]);
        assert!(names(&[at("*.nothing")]).is_empty());
        assert!(list(&[at("nothing")]).unwrap_err().contains("no such file"));
    }
}
