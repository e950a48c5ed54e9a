#!/usr/bin/env python3
"""One peer in a process of its own: `peers.py NAME FOLDER --threads N --rows FILE`.

Each counts events by the access key, the signature version and the TLS version, as they stand in the event. What is
imported and started comes first and is not timed; neither is what becomes of the rows. The last line is JSON: the
seconds it took and those of the processor.
"""

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import time
import zlib
from collections import Counter
from multiprocessing import Pool
from multiprocessing.pool import ThreadPool
from pathlib import Path

LEFT_OUT = 77  # the exit code of a peer that is not installed


def delivery(folder):
    return [str(file) for file in sorted((folder / "delivery").rglob("*.json.gz"))]


# --- databases ---------------------------------------------------------------------------------------------------

# Of the S3 calls a few have additionalEventData as a text that holds the object: it is read as text by all of them.
CLICKHOUSE = """
SELECT r.userIdentity.accessKeyId, JSONExtract(r.additionalEventData, 'SignatureVersion', 'Nullable(String)'),
       r.tlsDetails.tlsVersion, {calls}
FROM file('{files}', JSONEachRow, 'Records Array(Tuple(userIdentity Tuple(accessKeyId Nullable(String)),
          additionalEventData Nullable(String), tlsDetails Tuple(tlsVersion Nullable(String)){id}))')
ARRAY JOIN Records AS r GROUP BY ALL SETTINGS max_threads = {threads}
"""


def clickhouse(folder, threads, distinct=False):
    import chdb
    chdb.query("SELECT 1")
    calls, event_id = ("uniqExact(r.eventID)", ", eventID String") if distinct else ("count()", "")
    query = CLICKHOUSE.format(files=folder / "delivery/**/*.json.gz", threads=threads, calls=calls, id=event_id)

    def run():
        return [json.loads(line) for line in chdb.query(query, "JSONCompactEachRow").data().splitlines()]
    return run


SIGNATURE = "(CASE json_type({0}) WHEN 'VARCHAR' THEN ({0}->>'$')::JSON ELSE {0} END)->>'$.SignatureVersion'"

# `read_json` with its columns named takes ten times as long on documents of some MB as this.
DUCKDB = """
SELECT r.userIdentity.accessKeyId, {signature}, r.tlsDetails.tlsVersion, {calls}
FROM (SELECT unnest(from_json(json, '{{"Records": [{{"userIdentity": {{"accessKeyId": "VARCHAR"}},
      "additionalEventData": "JSON", "tlsDetails": {{"tlsVersion": "VARCHAR"}}{id}}}]}}').Records) AS r
      FROM read_json_objects('{files}', format = 'unstructured', maximum_object_size = {size}))
GROUP BY ALL
"""

DUCKDB_LINES = """
SELECT userIdentity.accessKeyId, {signature}, tlsDetails.tlsVersion, count(*)
FROM read_json('{files}', format = 'newline_delimited', columns = {{userIdentity: 'STRUCT(accessKeyId VARCHAR)',
     additionalEventData: 'JSON', tlsDetails: 'STRUCT(tlsVersion VARCHAR)'}})
GROUP BY ALL
"""


def duckdb(folder, threads, lines=None, distinct=False):
    import duckdb
    connection = duckdb.connect(config={"threads": threads, "preserve_insertion_order": False})
    connection.execute("SELECT '{}'::JSON->>'$.a'")
    if lines:
        query = DUCKDB_LINES.format(files=folder / lines, signature=SIGNATURE.format("additionalEventData"))
    else:
        largest = max(int.from_bytes(Path(file).read_bytes()[-4:], "little") for file in delivery(folder))
        calls, event_id = ("count(DISTINCT r.eventID)", ', "eventID": "VARCHAR"') if distinct else ("count(*)", "")
        query = DUCKDB.format(files=folder / "delivery/**/*.json.gz", size=2 * largest, calls=calls, id=event_id,
                              signature=SIGNATURE.format("r.additionalEventData"))
    return lambda: connection.execute(query).fetchall()


def polars(folder, threads, lines=None):
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl
    fields = {"userIdentity": pl.Struct({"accessKeyId": pl.String}), "additionalEventData": pl.String,
              "tlsDetails": pl.Struct({"tlsVersion": pl.String})}
    if lines:
        events = pl.scan_ndjson(str(folder / lines), schema=fields)
    else:
        # A delivery file is one long line.
        files = pl.scan_ndjson(str(folder / "delivery/**/*.json.gz"), schema={"Records": pl.List(pl.Struct(fields))})
        events = files.explode("Records").unnest("Records")
    query = events.select(
        key=pl.col("userIdentity").struct.field("accessKeyId"),
        signature=pl.col("additionalEventData").str.json_path_match("$.SignatureVersion"),
        tls=pl.col("tlsDetails").struct.field("tlsVersion"),
    ).group_by("key", "signature", "tls").len()
    return lambda: query.collect(engine="streaming").rows()


# --- scripts -----------------------------------------------------------------------------------------------------

def counted(count_file, folder, threads):
    """Files counted by as many processes."""
    files = delivery(folder)

    def run():
        counts = Counter()
        with Pool(threads) as pool:
            for of_file in pool.imap_unordered(count_file, files, chunksize=4):
                counts.update(of_file)
        return [(*values, calls) for values, calls in counts.items()]
    return run


def count_values(inflate, decode, file):
    counts = Counter()
    for event in decode(inflate(Path(file).read_bytes()))["Records"]:
        additional = event.get("additionalEventData") or {}
        if isinstance(additional, str):
            additional = decode(additional)
        counts[(event.get("userIdentity") or {}).get("accessKeyId"), additional.get("SignatureVersion"),
               (event.get("tlsDetails") or {}).get("tlsVersion")] += 1
    return counts


def python(folder, threads):
    import gzip
    return counted(functools.partial(count_values, gzip.decompress, json.loads), folder, threads)


def orjson(folder, threads):
    import orjson
    from isal import igzip
    return counted(functools.partial(count_values, igzip.decompress, orjson.loads), folder, threads)


def msgspec(folder, threads):
    import msgspec
    from isal import igzip
    string = (str | None, None)
    who, tls, additional = (msgspec.defstruct(name, [(name, *string)]) for name in ("accessKeyId", "tlsVersion", "SignatureVersion"))
    event = msgspec.defstruct("Event", [("userIdentity", who | None, None), ("tlsDetails", tls | None, None),
                                        ("additionalEventData", additional | str | None, None)])
    file = msgspec.json.Decoder(msgspec.defstruct("File", [("Records", list[event])]))
    text = msgspec.json.Decoder(additional)
    global count_structs

    def count_structs(path):
        counts = Counter()
        for event in file.decode(igzip.decompress(Path(path).read_bytes())).Records:
            who, tls, more = event.userIdentity, event.tlsDetails, event.additionalEventData
            if isinstance(more, str):
                more = text.decode(more)
            counts[who and who.accessKeyId, more and more.SignatureVersion, tls and tls.tlsVersion] += 1
        return counts
    return counted(count_structs, folder, threads)


JQ = """.Records[] | (.additionalEventData | if type == "string" then fromjson else . end) as $more
| [.userIdentity.accessKeyId, $more.SignatureVersion, .tlsDetails.tlsVersion] | tojson"""
JQ_SHELL = """gzip -dc "$@" | jq -r "$JQ" | awk '{ calls[$0]++ } END { for (row in calls) print calls[row], row }'"""


def jq(folder, threads):
    for program in ("jq", "gzip", "awk"):
        if subprocess.run(["sh", "-c", f"command -v {program}"], stdout=subprocess.DEVNULL).returncode:
            raise ImportError(f"{program} is not installed: apt-get install {program}")
    files = delivery(folder)

    def of_some(some):
        return subprocess.run(["sh", "-c", JQ_SHELL, "sh", *some], env={**os.environ, "JQ": JQ}, check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    def run():
        counts = Counter()
        with ThreadPool(threads) as pool:
            for text in pool.imap_unordered(of_some, (files[at:at + 20] for at in range(0, len(files), 20))):
                for line in text.splitlines():
                    calls, row = line.split(" ", 1)
                    counts[tuple(json.loads(row))] += int(calls)
        return [(*values, calls) for values, calls in counts.items()]
    return run


# --- only inflating ----------------------------------------------------------------------------------------------

def inflating(inflate, folder, threads):
    """Files inflated and nothing else: these libraries let other threads run meanwhile."""
    files = delivery(folder)

    def one(file):
        data = Path(file).read_bytes()
        size = int.from_bytes(data[-4:], "little")
        if len(inflate(data, size)) != size:
            raise SystemExit(f"{file} did not inflate to its size")

    def run():
        with ThreadPool(threads) as pool:
            for _ in pool.imap_unordered(one, files, chunksize=4):
                pass
    return run


def inflate_libdeflate(folder, threads):
    import deflate
    return inflating(lambda data, size: deflate.gzip_decompress(data, size), folder, threads)


# These take a buffer that is just full for one that is too small, and make a larger one.
ROOM = 64


def inflate_isal(folder, threads):
    from isal import isal_zlib
    return inflating(lambda data, size: isal_zlib.decompress(data, wbits=31, bufsize=size + ROOM), folder, threads)


def inflate_zlib_ng(folder, threads):
    from zlib_ng import zlib_ng
    return inflating(lambda data, size: zlib_ng.decompress(data, wbits=31, bufsize=size + ROOM), folder, threads)


def inflate_zlib(folder, threads):
    return inflating(lambda data, size: zlib.decompress(data, wbits=31, bufsize=size + ROOM), folder, threads)


PEERS = {
    "clickhouse": clickhouse,
    "clickhouse-once": functools.partial(clickhouse, distinct=True),
    "duckdb": duckdb,
    "duckdb-once": functools.partial(duckdb, distinct=True),
    "duckdb-lines-gz": functools.partial(duckdb, lines="lines-gz/*.ndjson.gz"),
    "duckdb-lines": functools.partial(duckdb, lines="lines/*.ndjson"),
    "polars": polars,
    "polars-lines": functools.partial(polars, lines="lines/*.ndjson"),
    "msgspec": msgspec,
    "orjson": orjson,
    "python": python,
    "jq": jq,
    "inflate-libdeflate": inflate_libdeflate,
    "inflate-isal": inflate_isal,
    "inflate-zlib-ng": inflate_zlib_ng,
    "inflate-zlib": inflate_zlib,
}


def processor_seconds():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=Path)
    arguments = parser.parse_args()
    try:
        run = PEERS[arguments.name](arguments.folder, arguments.threads)
    except ImportError as error:
        print(error, file=sys.stderr)
        return LEFT_OUT
    began, used = time.perf_counter(), processor_seconds()
    rows = run()
    seconds, used = time.perf_counter() - began, processor_seconds() - used
    if arguments.rows and rows is not None:
        arguments.rows.write_text(json.dumps([[*values, int(calls)] for *values, calls in rows]))
    print(json.dumps({"seconds": seconds, "cpu": used}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
