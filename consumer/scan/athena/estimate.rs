//! What a query will read, and cost: told from a listing, before anything is paid for.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;

use super::{Days, Place};

/// Listings at once: one takes some 100 ms for 1,000 objects.
const AT_ONCE: usize = 16;
/// Athena counts at least 10 MB a query ("Amazon Athena pricing").
const LEAST_BYTES: u64 = 10_000_000;
const TB: f64 = 1e12;

/// What lies in range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Accounts that have files.
    pub accounts: BTreeSet<String>,
    /// Regions that have files.
    pub regions: BTreeSet<String>,
    /// The first and the last day that have files.
    pub days: Days,
    /// Files.
    pub objects: u64,
    /// Their bytes, as they lie there: Athena counts them so.
    pub bytes: u64,
}

impl Estimate {
    /// What a query over all of it costs, if a terabyte costs so much.
    pub fn price(&self, per_tb: f64) -> f64 {
        price(self.bytes, per_tb)
    }

    fn add(mut self, other: Self) -> Self {
        self.accounts.extend(other.accounts);
        self.regions.extend(other.regions);
        self.objects += other.objects;
        self.bytes += other.bytes;
        let first = [self.days.first, other.days.first];
        self.days.first = first.into_iter().flatten().min();
        self.days.last = self.days.last.max(other.days.last);
        self
    }
}

/// What it costs to read so many bytes.
pub fn price(bytes: u64, per_tb: f64) -> f64 {
    bytes.max(LEAST_BYTES) as f64 / TB * per_tb
}

/// Lists what lies at a place, of these days.
///
/// # Errors
/// It can't be listed.
pub async fn estimate(
    store: &impl ObjectStore,
    place: &Place,
    days: &Days,
) -> Result<Estimate, object_store::Error> {
    let accounts = match place.accounts.as_slice() {
        [] => below(store, &place.base).await?,
        accounts => accounts.to_vec(),
    };
    let accounts = accounts.into_iter().filter(|account| super::place::is_number(account, 12));
    let regions = accounts.map(|account| async move {
        let regions = match place.regions.as_slice() {
            [] => below(store, &place.folder(&account)).await?,
            regions => regions.to_vec(),
        };
        Ok::<_, object_store::Error>(regions.into_iter().map(move |region| (account.clone(), region)))
    });
    let regions: Vec<_> = stream::iter(regions).buffer_unordered(AT_ONCE).try_collect().await?;
    let each =
        regions.into_iter().flatten().map(|(account, region)| of_region(store, place, days, account, region));
    stream::iter(each)
        .buffer_unordered(AT_ONCE)
        .try_fold(Estimate::default(), |sum, more| async move { Ok(sum.add(more)) })
        .await
}

/// The names of the folders in a folder.
async fn below(store: &impl ObjectStore, folder: &str) -> Result<Vec<String>, object_store::Error> {
    let listed = store.list_with_delimiter(Some(&Path::from(folder))).await?;
    Ok(listed.common_prefixes.iter().filter_map(|folder| Some(folder.filename()?.to_owned())).collect())
}

async fn of_region(
    store: &impl ObjectStore,
    place: &Place,
    days: &Days,
    account: String,
    region: String,
) -> Result<Estimate, object_store::Error> {
    let folder = format!("{}/{region}/", place.folder(&account));
    // Keys are listed in their order: days before the first are passed over, and behind the last it ends.
    let offset = Path::from(format!("{folder}{}", days.first.as_deref().unwrap_or("")));
    let prefix = Path::from(folder.as_str());
    let mut listed = store.list_with_offset(Some(&prefix), &offset);
    let mut found = Estimate::default();
    while let Some(object) = listed.try_next().await? {
        let Some(day) = object.location.as_ref().get(folder.len()..folder.len() + "2025/07/01".len()) else {
            continue;
        };
        if days.last.as_deref().is_some_and(|last| day > last) {
            break;
        }
        if !days.has(day) {
            continue;
        }
        found.objects += 1;
        found.bytes += object.size;
        found.days.first = Some(found.days.first.map_or(day.to_owned(), |first| first.min(day.to_owned())));
        found.days.last = found.days.last.max(Some(day.to_owned()));
    }
    if found.objects > 0 {
        found.accounts.insert(account);
        found.regions.insert(region);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn what_lies_in_range_is_counted() {
        let store = InMemory::new();
        for key in [
            "t/AWSLogs/111122223333/CloudTrail/eu-west-1/2025/06/30/a.json.gz",
            "t/AWSLogs/111122223333/CloudTrail/eu-west-1/2025/07/01/b.json.gz",
            "t/AWSLogs/111122223333/CloudTrail/us-east-1/2025/07/02/c.json.gz",
            "t/AWSLogs/111122223333/CloudTrail/us-east-1/2025/07/03/d.json.gz",
            "t/AWSLogs/444455556666/CloudTrail/us-east-1/2025/07/02/e.json.gz",
            "t/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2025/07/02/f.json.gz",
            "t/AWSLogs/o-abc/111122223333/CloudTrail/us-east-1/2025/07/02/g.json.gz",
        ] {
            store.put(&Path::from(key), vec![0; 7].into()).await.unwrap();
        }
        let counted = async |place: &str, first: Option<&str>, last: Option<&str>| {
            let days = Days { first: first.map(str::to_owned), last: last.map(str::to_owned) };
            let found = estimate(&store, &Place::parse(place).unwrap(), &days).await.unwrap();
            (found.accounts.len(), found.regions.len(), found.objects, found.bytes, found.days)
        };
        let days = |first: &str, last: &str| Days { first: Some(first.into()), last: Some(last.into()) };
        assert_eq!(counted("s3://b/t", None, None).await, (2, 2, 5, 35, days("2025/06/30", "2025/07/03")));
        assert_eq!(
            counted("s3://b/t/", Some("2025/07/01"), Some("2025/07/02")).await,
            (2, 2, 3, 21, days("2025/07/01", "2025/07/02"))
        );
        let one = "s3://b/t/AWSLogs/111122223333/CloudTrail/us-east-1";
        assert_eq!(counted(one, None, None).await, (1, 1, 2, 14, days("2025/07/02", "2025/07/03")));
        assert_eq!(counted("s3://b/t/AWSLogs/o-abc", None, None).await.2, 1);
        assert_eq!(counted("s3://b/elsewhere", None, None).await.2, 0);
    }

    #[test]
    fn a_query_has_a_least_price() {
        let of = |bytes| Estimate { bytes, ..Estimate::default() }.price(5.0);
        assert_eq!(of(2_000_000_000_000), 10.0);
        assert_eq!((of(0), of(10_000_000)), (0.00005, 0.00005));
    }
}
