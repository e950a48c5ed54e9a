//! The aggregated records of the Kinesis Producer Library: magic, a protobuf message, its MD5.
//!
//! Format: `F3 89 9A C2`, AggregatedRecord, 16 bytes MD5 of the message (amazon-kinesis-producer,
//! aggregation-format.md).

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const MD5_BYTES: usize = 16;

#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    #[prost(uint64, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
}

/// What stands in a record that may be an aggregate.
#[derive(Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Not an aggregate.
    No,
    /// The user records, in order, without a copy.
    Records(Vec<Bytes>),
    /// The magic is there, the checksum or the message is wrong.
    Bad,
}

/// Takes an aggregate apart.
pub fn disaggregate(data: &Bytes) -> Aggregate {
    if !data.starts_with(&MAGIC) {
        return Aggregate::No;
    }
    if data.len() < MAGIC.len() + MD5_BYTES {
        return Aggregate::Bad;
    }
    let message = data.slice(MAGIC.len()..data.len() - MD5_BYTES);
    if Md5::digest(&message)[..] != data[data.len() - MD5_BYTES..] {
        return Aggregate::Bad;
    }
    match AggregatedRecord::decode(message) {
        Ok(aggregated) => {
            Aggregate::Records(aggregated.records.into_iter().map(|record| record.data).collect())
        }
        Err(_) => Aggregate::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregate(records: &[&[u8]]) -> Vec<u8> {
        let message = AggregatedRecord {
            partition_key_table: vec!["k".into()],
            explicit_hash_key_table: vec![],
            records: records
                .iter()
                .map(|data| UserRecord {
                    partition_key_index: 0,
                    explicit_hash_key_index: None,
                    data: Bytes::copy_from_slice(data),
                })
                .collect(),
        }
        .encode_to_vec();
        [&MAGIC[..], &message, &Md5::digest(&message)[..]].concat()
    }

    #[test]
    fn user_records_come_out_in_order() {
        let data = Bytes::from(aggregate(&[b"one", b"", b"three"]));
        let expect = [&b"one"[..], b"", b"three"].map(Bytes::copy_from_slice).to_vec();
        assert_eq!(disaggregate(&data), Aggregate::Records(expect));
        assert_eq!(disaggregate(&Bytes::from_static(b"{}")), Aggregate::No);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let sound = aggregate(&[b"one", b"two"]);
        for at in MAGIC.len()..sound.len() {
            let mut broken = sound.clone();
            broken[at] ^= 1;
            assert_eq!(disaggregate(&Bytes::from(broken)), Aggregate::Bad, "byte {at}");
        }
        for length in MAGIC.len()..sound.len() {
            assert_eq!(disaggregate(&Bytes::copy_from_slice(&sound[..length])), Aggregate::Bad);
        }
    }
}
