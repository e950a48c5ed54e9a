#!/usr/bin/env python3
"""What sets of CloudTrail events are made of, as a markdown table.

    corpus_statistics.py [NAME=]PATH...

A PATH is a file or a folder (searched for .json, .json.gz, .ndjson, .ndjson.gz) of delivery files
({"Records": [...]}), arrays, single events or lines of events. Each PATH is a column. Lines and files that
are no JSON are counted, and left out of the shares.
"""

import collections
import gzip
import json
import pathlib
import sys

SUFFIXES = (".json", ".json.gz", ".ndjson", ".ndjson.gz")
WINDOW = 1000  # events compressed together where a set has no delivery files of its own


def files_of(path):
    path = pathlib.Path(path)
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES))


def read(path):
    raw = path.read_bytes()
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def events_of(raw):
    """The events of a file's bytes, whether it is a delivery file, and how many pieces are no events."""
    try:
        whole = json.loads(raw)
    except (ValueError, RecursionError):
        return lines_of(raw)
    if isinstance(whole, dict) and isinstance(whole.get("Records"), list):
        return objects(whole["Records"]), True, 0
    return objects(whole if isinstance(whole, list) else [whole]), False, 0


def lines_of(raw):
    events, broken = [], 0
    for line in raw.splitlines():
        try:
            events.append(json.loads(line))
        except (ValueError, RecursionError):
            broken += bool(line.strip())
    return objects(events), False, broken


def objects(values):
    return [value for value in values if isinstance(value, dict)]


def compact(event):
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def gzip_size(texts):
    return len(gzip.compress(b'{"Records":[' + b",".join(texts) + b"]}", 6))


class Set:
    """One column: everything measured of one set of events."""

    def __init__(self, path):
        self.events, self.broken, self.groups = [], 0, []
        for file in files_of(path):
            events, is_delivery, broken = events_of(read(file))
            self.broken += broken
            self.events += events
            step = len(events) if is_delivery else WINDOW
            self.groups += [events[i : i + step] for i in range(0, len(events), max(step, 1))]
        if not self.events:
            sys.exit(f"{path}: no events found; give a folder or file of CloudTrail events")
        texts = [compact(event) for event in self.events]
        self.sizes = sorted(map(len, texts))
        self.total = sum(self.sizes)
        self.ratio = self.total / gzip_size(texts)
        self.file_ratio = self.total / sum(gzip_size([compact(e) for e in group]) for group in self.groups)
        self.shares = collections.Counter(name for event in self.events for name in names(event))

    def share(self, name):
        return self.shares[name] / len(self.events)

    def quantile(self, q):
        return self.sizes[min(len(self.sizes) - 1, int(q * len(self.sizes)))]


def names(event):
    """Every countable property of an event, as `group: value`."""
    who = as_object(event.get("userIdentity"))
    data = as_object(event.get("additionalEventData"))
    tls = as_object(event.get("tlsDetails"))
    key = str(who.get("accessKeyId") or "none")[:4]
    found = [f"field: {name}" for name in event]
    found += [f"userIdentity: {name}" for name in who]
    found += [f"additionalEventData: {name}" for name in data]
    found.append(f"identity type: {who.get('type')}")
    found.append(f"access key: {key}")
    found.append(f"TLS: {tls.get('tlsVersion')}")
    found.append(f"signature: {data.get('SignatureVersion')}")
    found.append(f"category: {event.get('eventCategory')}")
    found.append(f"source: {event.get('eventSource')}")
    found.append(f"readOnly: {event.get('readOnly')}")
    return found


def as_object(value):
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            pass
    return value if isinstance(value, dict) else {}


def rows(sets):
    yield "events", [f"{len(s.events):,}" for s in sets]
    yield "not JSON", [f"{s.broken:,}" for s in sets]
    yield "bytes an event, mean", [f"{s.total / len(s.events):,.0f}" for s in sets]
    for q in (0.1, 0.5, 0.9, 0.99):
        yield f"bytes an event, {q:.0%}", [f"{s.quantile(q):,}" for s in sets]
    yield "gzip -6 of all", [f"{s.ratio:.2f}" for s in sets]
    yield "gzip -6 of each file", [f"{s.file_ratio:.2f}" for s in sets]
    every = sum((s.shares for s in sets), collections.Counter())
    groups = dict.fromkeys(name.split(":")[0] for name in every)
    for group in groups:
        members = [name for name in every if name.split(":")[0] == group]
        members.sort(key=lambda name: (-max(s.share(name) for s in sets), name))
        for name in members[: 12 if group == "source" else 30]:
            yield name, [f"{s.share(name):.3f}" for s in sets]


def main(arguments):
    if not arguments:
        sys.exit(__doc__)
    pairs = [a.split("=", 1) if "=" in a else (pathlib.Path(a).name, a) for a in arguments]
    sets = [Set(path) for _, path in pairs]
    print("| | " + " | ".join(name for name, _ in pairs) + " |")
    print("|---" * (len(sets) + 1) + "|")
    for name, values in rows(sets):
        print(f"| {name} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
