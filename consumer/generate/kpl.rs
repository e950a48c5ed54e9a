//! KPL aggregation: many user records in one Kinesis record. Magic, a protobuf `AggregatedRecord`
//! (1: partition keys, 3: records of 1: index of the key and 3: data), and the MD5 of that
//! (amazon-kinesis-producer, aggregation-format.md).

use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const LENGTH_DELIMITED: u8 = 2;
const VARINT: u8 = 0;

/// One aggregated record of user records, each a partition key and data.
pub(super) fn aggregate(records: &[(String, &[u8])]) -> Vec<u8> {
    let mut message = Vec::with_capacity(records.iter().map(|(key, data)| key.len() + data.len() + 24).sum());
    for (key, _) in records {
        bytes_field(&mut message, 1, key.as_bytes());
    }
    for (index, (_, data)) in records.iter().enumerate() {
        let mut record = Vec::with_capacity(data.len() + 12);
        record.push(tag(1, VARINT));
        varint(&mut record, index as u64);
        bytes_field(&mut record, 3, data);
        bytes_field(&mut message, 3, &record);
    }
    let digest = Md5::digest(&message);
    [&MAGIC[..], &message, &digest[..]].concat()
}

fn bytes_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(tag(number, LENGTH_DELIMITED));
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn tag(number: u8, wire_type: u8) -> u8 {
    number << 3 | wire_type
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
