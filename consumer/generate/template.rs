//! Request and response bodies: JSON text in which `$` and a letter stand for something of the call.

use super::draw::{Draw, mix2};
use super::{name, text};

/// What the letters stand for. Names and ids come from a small pool a burst has, so that neighbours repeat
/// them as real calls do.
pub(super) struct Scene<'a> {
    pub(super) draw: &'a mut Draw,
    /// The burst the call belongs to.
    pub(super) burst: u64,
    /// Which of the burst's things the call is about.
    pub(super) thing: u64,
    pub(super) account: u64,
    pub(super) region: &'a str,
    pub(super) time_s: i64,
}

const POOL_OF_BUCKETS: u64 = 1 << 9;

pub(super) fn render(out: &mut Vec<u8>, template: &str, scene: &mut Scene) {
    let mut pieces = template.split('$');
    text::text(out, pieces.next().unwrap_or_default());
    for piece in pieces {
        let (letter, rest) = piece.split_at(piece.len().min(1));
        letter_of(out, letter, scene);
        text::text(out, rest);
    }
}

fn letter_of(out: &mut Vec<u8>, letter: &str, scene: &mut Scene) {
    match letter {
        "w" => text::time(out, scene.time_s + 300),
        "a" => text::number(out, scene.account),
        "r" => text::text(out, scene.region),
        "t" => text::time(out, scene.time_s),
        "n" => name::application(out, scene.burst % 256),
        "b" => bucket(out, scene),
        "k" => object_key(out, scene),
        "i" => resource_id(out, mix2(scene.burst, scene.thing)),
        "e" => resource_id(out, scene.draw.next()),
        "d" => text::number(out, scene.thing),
        "s" => text::number(out, scene.draw.below(4000)),
        "u" => text::uuid(out, scene.draw.next(), scene.draw.next()),
        "g" => text::uuid(out, scene.burst, mix2(scene.burst, 2)),
        "T" => text::base64(out, scene.draw, 640),
        "M" => text::base64(out, scene.draw, 700),
        _ => debug_assert!(false, "no such letter in a template: {letter}"),
    }
}

/// `0` and 16 hex digits, as EC2's ids have them after their prefix.
fn resource_id(out: &mut Vec<u8>, bits: u64) {
    out.push(b'0');
    text::hex(out, bits, 16);
}

fn bucket(out: &mut Vec<u8>, scene: &Scene) {
    text::text(out, "example-");
    name::application(out, mix2(scene.burst, scene.thing / 8) % POOL_OF_BUCKETS);
    out.push(b'-');
    text::text(out, scene.region);
}

fn object_key(out: &mut Vec<u8>, scene: &Scene) {
    let folder = ["incoming", "exports", "thumbnails", "daily", "logs"][(scene.burst % 5) as usize];
    text::text(out, folder);
    text::text(out, "/year=2025/part-");
    text::padded(out, scene.burst % 10_000 + scene.thing, 5);
    text::text(out, if scene.burst & 1 == 0 { ".parquet" } else { ".json.gz" });
}
