//! Rule files in S3.

use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use trailmeter_rules::SourceFile;

use crate::s3::{Location, Patience, advice, connect, why};

/// Rules that can't be read are looked for again soon.
const GIVE_UP: Duration = Duration::from_secs(10);
const PATIENCE: Patience = Patience { retries: 3, answer: GIVE_UP, give_up: GIVE_UP, find_region: false };
/// More objects than this under a prefix are no rules.
const MAX_OBJECTS: usize = 10_000;

/// Reads the objects under a prefix whose keys end in `.yaml` or `.yml`, by key; or the one object of that key.
pub(super) async fn read(location: &Location) -> Result<Vec<SourceFile>, String> {
    let Location { bucket, prefix } = location;
    let failed =
        |error: object_store::Error| format!("{location} can't be read: {}{}", why(&error), advice(&error));
    let store = connect(bucket, PATIENCE).await.map_err(failed)?;
    let is_rules = |key: &str| key.ends_with(".yaml") || key.ends_with(".yml");
    let mut keys = Vec::new();
    if is_rules(prefix) {
        keys.push(Path::from(prefix.as_str()));
    } else {
        let folder = (!prefix.is_empty()).then(|| Path::from(prefix.as_str()));
        let mut listed = store.list(folder.as_ref());
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            if is_rules(object.location.as_ref()) {
                keys.push(object.location);
            }
            if keys.len() > MAX_OBJECTS {
                return Err(format!(
                    "{location} holds more than {MAX_OBJECTS} objects: name a narrower prefix"
                ));
            }
        }
        keys.sort();
    }
    let mut files = Vec::new();
    for key in keys {
        let name = format!("s3://{bucket}/{key}");
        let bytes = store.get(&key).await.map_err(failed)?.bytes().await.map_err(failed)?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| format!("{name} is no text (UTF-8)"))?;
        files.push(SourceFile::new(name, text));
    }
    Ok(files)
}
