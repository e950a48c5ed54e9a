"""The files that everybody counts: made once by seed, kept in the user's cache, with the answers that are right.

A corpus is a folder: `delivery/` as CloudTrail delivers it, `lines/` and `lines-gz/` with the same events a line each,
and the answers of a plain script that shares no code with any of the counted.
"""

import gzip
import hashlib
import json
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys
from collections import Counter, namedtuple

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "oracle"))
sys.dont_write_bytecode = True

import count as oracle  # noqa: E402

# Calls only, each once: who drops duplicates, and who doesn't, counts the same.
CALLS_ONLY = [part for kind in ("duplicates", "corrections", "insights", "aggregated", "network-activity")
              for part in (f"--{kind}", "0")]

# What is counted: by the key as it stands in the event, or by the caller behind it as trailmeter tells it.
KEY = ("key_id", "signature_version", "tls_version")
PRINCIPAL = ("account_id", "principal", "signature_version", "tls_version")

Corpus = namedtuple("Corpus", "folder events files bytes gzip_bytes")


def cache():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "trailmeter" / "peers"


def make(trailmeter, folder, events, seed, bytes_per_event=None):
    """The corpus of these options below `folder`: the one that is there, or a new one."""
    options = ["--preset", "organisation", "--events", str(events), "--seed", str(seed), *CALLS_ONLY]
    if bytes_per_event:
        options += ["--bytes-per-event", str(bytes_per_event)]
    name = f"{events}-{hashlib.sha256(' '.join(options).encode()).hexdigest()[:8]}"
    whole, begun = folder / name, folder / f"{name}.{os.getpid()}"
    if not whole.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            fill(trailmeter, begun, options)
            begun.rename(whole)
        finally:
            shutil.rmtree(begun, ignore_errors=True)
    return Corpus(whole, **json.loads((whole / "corpus.json").read_text()))


def fill(trailmeter, folder, options):
    print(f"Making {options[3]} events in {folder.parent}: this is done once", file=sys.stderr)
    for part in ("delivery", "lines", "lines-gz"):
        (folder / part).mkdir(parents=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRAILMETER_")}
    subprocess.run([trailmeter, "generate", *options, "--output", folder / "delivery"], env=clean, check=True,
                   stderr=subprocess.DEVNULL)
    files = sorted((folder / "delivery").rglob("*.json.gz"))
    by_key, by_principal, ids, sizes = Counter(), Counter(), 0, 0
    with multiprocessing.Pool() as pool:
        for keys, principals, size, unique in pool.imap_unordered(split, enumerate(files), chunksize=4):
            by_key.update(keys)
            by_principal.update(principals)
            sizes, ids = sizes + size, ids + unique
    events = by_key.total()
    if ids != events or by_principal.total() != events:
        raise SystemExit(f"the corpus is not as it should be: {events} events with {ids} ids")
    write_rows(folder / "by_key.json", by_key)
    write_rows(folder / "by_principal.json", by_principal)
    about = {"events": events, "files": len(files), "bytes": sizes, "gzip_bytes": sum(file.stat().st_size for file in files)}
    (folder / "corpus.json").write_text(json.dumps(about))


def split(numbered):
    """Writes a file's events as lines; returns its counts, its size, and how many ids it has."""
    number, file = numbered
    text = gzip.decompress(file.read_bytes()).decode()
    events = json.loads(text)["Records"]
    lines = "".join(line + "\n" for line in raw_events(text)).encode()
    if lines.count(b"\n") != len(events):
        raise SystemExit(f"{file} is not as it should be")
    folder = pathlib.Path(*file.parts[:file.parts.index("delivery")])
    (folder / "lines" / f"{number:06}.ndjson").write_bytes(lines)
    (folder / "lines-gz" / f"{number:06}.ndjson.gz").write_bytes(gzip.compress(lines, 6))
    return (Counter(map(key, events)), Counter(map(principal, events)), len(text.encode()),
            len({event["eventID"] for event in events}))


def raw_events(text):
    """The events of a delivery file as they stand in it."""
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        yield text[at:end]
        at = end + (text[end] == ",")


def key(event):
    who = oracle.child(event, "userIdentity")
    return oracle.text(who, "accessKeyId") or "", oracle.signature(event)[0], oracle.tls(event)[0]


def principal(event):
    return oracle.account_id(event), oracle.principal(event), oracle.signature(event)[0], oracle.tls(event)[0]


def write_rows(path, rows):
    path.write_text(json.dumps([[*values, calls] for values, calls in sorted(rows.items())]))


def read_rows(path):
    return {tuple(values): calls for *values, calls in json.loads(path.read_text())}


def labelled(rows):
    """Rows by the values as they stand in the events (none is None), as rows by trailmeter's labels."""
    counted = Counter()
    for key_id, signature, tls, calls in rows:
        event = {"userIdentity": {"accessKeyId": key_id}, "additionalEventData": {"SignatureVersion": signature},
                 "tlsDetails": {"tlsVersion": tls}}
        counted[key(event)] += calls
    return counted
