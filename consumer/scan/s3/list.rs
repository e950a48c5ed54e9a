//! Which objects there are: folders of CloudTrail's layout are gone down one by one, so that those that are not wanted
//! are not listed; everything else is listed whole.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt};
use tokio::task::JoinSet;

use super::fetch::PART_BYTES;
use super::{Bucket, Object};
use crate::s3::Location;
use crate::scan::layout::{Found, Layout, PassedOver, Wanted};

/// Requests at once; S3 takes 5,500 a second under a prefix ("Optimizing Amazon S3 performance").
const MOST_REQUESTS: usize = 32;
/// So many folders deep, below what was named, CloudTrail's layout is looked for; a trail's own prefix may have some.
const MOST_DEPTH: usize = 4;

/// The objects under a location that are wanted. `told` is given their number from time to time.
///
/// # Errors
/// They can't be listed, with what to do.
pub async fn list(
    location: &Location,
    wanted: &Wanted,
    passed: &mut PassedOver,
    told: impl Fn(usize),
) -> Result<Vec<Object>, String> {
    let bucket = Bucket::connect(location).await?;
    list_in(&bucket, &location.prefix, wanted, passed, told).await
}

async fn list_in(
    bucket: &Arc<Bucket>,
    prefix: &str,
    wanted: &Wanted,
    passed: &mut PassedOver,
    told: impl Fn(usize),
) -> Result<Vec<Object>, String> {
    let named = Path::parse(prefix).map_err(|error| {
        format!("s3://{}/{prefix} is no prefix: {error}; write it as it stands in the keys", bucket.name)
    })?;
    let wanted = Arc::new(wanted.clone());
    let mut waiting = VecDeque::from([Folder { path: named.clone(), depth: 0 }]);
    let mut listings = JoinSet::new();
    let mut found: Vec<ObjectMeta> = Vec::new();
    loop {
        while listings.len() < MOST_REQUESTS
            && let Some(folder) = waiting.pop_front()
        {
            listings.spawn(look(Arc::clone(bucket), folder, named.clone(), Arc::clone(&wanted)));
        }
        let Some(listed) = listings.join_next().await else { break };
        let listed = listed.map_err(|error| error.to_string())??;
        waiting.extend(listed.folders);
        found.extend(listed.objects);
        passed.merge(&listed.passed);
        told(found.len());
    }
    let is_object = found.is_empty() && !prefix.is_empty() && !prefix.ends_with('/');
    if is_object && let Some(object) = itself(bucket, &named).await? {
        let asked_for_whole = Wanted { first_day: None, last_day: None, ..(*wanted).clone() };
        match asked_for_whole.refuses(Found::File(prefix), prefix) {
            Some(reason) => passed.add(Found::File(prefix), reason),
            None => found.push(object),
        }
    }
    found.sort_unstable_by(|left, right| by_parts(&left.location, &right.location));
    Ok(objects(bucket, found))
}

/// A folder that is to be looked into.
struct Folder {
    path: Path,
    /// Below what was named.
    depth: usize,
}

#[derive(Default)]
struct Listed {
    folders: Vec<Folder>,
    objects: Vec<ObjectMeta>,
    passed: PassedOver,
}

async fn look(
    bucket: Arc<Bucket>,
    folder: Folder,
    named: Path,
    wanted: Arc<Wanted>,
) -> Result<Listed, String> {
    let failed = |error: Error| bucket.told(folder.path.as_ref(), &error);
    let below = Some(&folder.path).filter(|path| !path.is_root());
    let mut listed = Listed::default();
    let take = |listed: &mut Listed, object: ObjectMeta| {
        // The console makes an empty object for a folder.
        if object.location == folder.path {
            return;
        }
        let file = Found::File(object.location.as_ref());
        match wanted.refuses(file, named.as_ref()) {
            Some(reason) => listed.passed.add(file, reason),
            None => listed.objects.push(object),
        }
    };
    if !is_gone_down(&folder) {
        let mut objects = bucket.store.list(below);
        while let Some(object) = objects.try_next().await.map_err(failed)? {
            take(&mut listed, object);
        }
        return Ok(listed);
    }
    let found = bucket.store.list_with_delimiter(below).await.map_err(failed)?;
    for object in found.objects {
        take(&mut listed, object);
    }
    for path in found.common_prefixes {
        let folder_below = Found::Folder(path.as_ref());
        match wanted.refuses(folder_below, named.as_ref()) {
            Some(reason) => listed.passed.add(folder_below, reason),
            None => listed.folders.push(Folder { depth: folder.depth + 1, path }),
        }
    }
    Ok(listed)
}

/// Whether its folders are looked at one by one.
fn is_gone_down(folder: &Folder) -> bool {
    match Layout::of(Found::Folder(folder.path.as_ref())) {
        Some(layout) => !layout.is_whole,
        None => folder.depth < MOST_DEPTH,
    }
}

/// The object of this key.
async fn itself(bucket: &Bucket, key: &Path) -> Result<Option<ObjectMeta>, String> {
    match bucket.store.head(key).await {
        Ok(object) => Ok(Some(object)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(bucket.told(key.as_ref(), &error)),
    }
}

/// By names, folder by folder, as files are walked: `a/b` is before `a-b`.
fn by_parts(left: &Path, right: &Path) -> Ordering {
    left.as_ref().split('/').cmp(right.as_ref().split('/'))
}

/// Without the empty ones that stand for folders.
fn objects(bucket: &Arc<Bucket>, found: Vec<ObjectMeta>) -> Vec<Object> {
    let stands_for_a_folder = |at: usize| {
        let key = found[at].location.as_ref();
        let next = found.get(at + 1).map(|next| next.location.as_ref());
        let below = next.and_then(|next| next.strip_prefix(key));
        found[at].size == 0 && below.is_some_and(|below| below.starts_with('/'))
    };
    let is_object: Vec<bool> = (0..found.len()).map(|at| !stands_for_a_folder(at)).collect();
    let kept = found.into_iter().zip(is_object).filter(|(_, is_object)| *is_object);
    kept.map(|(meta, _)| Object {
        bucket: Arc::clone(bucket),
        tag: meta.e_tag.filter(|_| meta.size > PART_BYTES).map(String::into_boxed_str),
        key: meta.location,
        size: meta.size,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::scan::layout::Reason;

    async fn bucket(keys: &[&str]) -> Arc<Bucket> {
        let store = InMemory::new();
        for key in keys {
            store.put(&Path::from(*key), "x".into()).await.unwrap();
        }
        Bucket::of("logs", Arc::new(store))
    }

    async fn names(bucket: &Arc<Bucket>, prefix: &str, wanted: &Wanted) -> (Vec<String>, PassedOver) {
        let mut passed = PassedOver::default();
        let found = list_in(bucket, prefix, wanted, &mut passed, |_| {}).await.unwrap();
        (found.iter().map(|object| object.key.to_string()).collect(), passed)
    }

    #[tokio::test]
    async fn objects_are_in_the_order_of_files() {
        let keys = ["b/2", "a-b/1", "a/z", "a/b/c/d/e/f/g", "c.json", "b/1"];
        let logs = bucket(&keys).await;
        let (found, passed) = names(&logs, "", &Wanted::default()).await;
        assert_eq!(found, ["a/b/c/d/e/f/g", "a/z", "a-b/1", "b/1", "b/2", "c.json"]);
        assert_eq!(passed, PassedOver::default());
        for (prefix, expect) in [
            ("a", &["a/b/c/d/e/f/g", "a/z"][..]),
            ("a/b/", &["a/b/c/d/e/f/g"]),
            ("c.json", &["c.json"]),
            ("c.json/", &[]),
            ("c", &[]),
            ("b/2", &["b/2"]),
        ] {
            assert_eq!(names(&logs, prefix, &Wanted::default()).await.0, expect, "{prefix}");
        }
    }

    #[tokio::test]
    async fn folders_that_are_not_wanted_are_not_listed() {
        let at = |account: &str, kind: &str, region: &str, day: &str| {
            format!("trail/x/AWSLogs/o-a/{account}/{kind}/{region}/{day}/1.json.gz")
        };
        let (one, two) = ("111122223333", "444455556666");
        let keys = [
            at(one, "CloudTrail", "us-east-1", "2025/06/30"),
            at(one, "CloudTrail", "us-east-1", "2025/07/01"),
            at(one, "CloudTrail", "eu-west-1", "2025/07/01"),
            at(one, "CloudTrail-Digest", "us-east-1", "2025/07/01"),
            at(one, "Config", "us-east-1", "2025/07/01"),
            at(two, "CloudTrail", "us-east-1", "2025/07/01"),
            "trail/x/readme".to_owned(),
        ];
        let logs = bucket(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let wanted = Wanted {
            accounts: vec![one.to_owned()],
            regions: vec!["us-east-1".to_owned()],
            first_day: Some([2025, 7, 1]),
            last_day: None,
        };
        let (found, passed) = names(&logs, "", &wanted).await;
        assert_eq!(found, [keys[1].clone()]);
        let folders = [Reason::Account, Reason::Region, Reason::Day, Reason::Digest, Reason::OtherLogs];
        assert_eq!(passed.folders, folders.map(|reason| (reason, 1)).into());
        assert_eq!(passed.files, [(Reason::NoLayout, 1)].into());
        // A kind that is named is read.
        let (found, _) = names(&logs, "trail/x/AWSLogs/o-a/111122223333/Config", &wanted).await;
        assert_eq!(found, [keys[4].clone()]);
    }
}
