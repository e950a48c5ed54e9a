//! What must always hold of the code itself: who may name which library, and what must not be left in the tree.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use common::repository;

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The files of `consumer/` that name a crate, but for the places that may.
fn named_outside(crate_name: &str, places: &[&str]) -> Vec<String> {
    let (root, mut files) = (repository("consumer"), Vec::new());
    rust_files(&root, &mut files);
    assert!(files.len() > 50);
    let relative = files.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string());
    let outside = relative.filter(|path| !places.iter().any(|place| path.starts_with(place)));
    let names = |path: &String| {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        text.lines()
            .any(|line| line.contains(&format!("{crate_name}::")) && !line.trim_start().starts_with("//"))
    };
    outside.filter(names).collect()
}

#[test]
fn libraries_are_named_only_where_they_belong() {
    let nowhere: Vec<String> = Vec::new();
    assert_eq!(named_outside("aws_sdk_kinesis", &["source/kinesis/"]), nowhere);
    assert_eq!(named_outside("aws_sdk_athena", &["scan/athena/run.rs"]), nowhere);
    assert_eq!(named_outside("simd_json", &["decode/json/"]), nowhere);
    assert_eq!(named_outside("prometheus", &["metrics/", "web/"]), nowhere);
    assert_eq!(named_outside("redb", &["state/"]), nowhere);
    assert!(!named_outside("simd_json", &[]).is_empty());
}

#[test]
fn nothing_unfinished_is_left() {
    let mut files = Vec::new();
    for folder in ["consumer", "tests", "benches"] {
        rust_files(&repository(folder), &mut files);
    }
    let files = files
        .into_iter()
        .filter(|path| !path.ends_with("house.rs") && !path.iter().any(|part| part == "node_modules"));
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for left in ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"] {
            assert!(!text.contains(left), "{left} in {}", path.display());
        }
    }
}
