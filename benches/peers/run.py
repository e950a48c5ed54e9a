#!/usr/bin/env python3
"""How fast `trailmeter scan` is beside others on the same files: `make bench-peers`.

Everyone counts the same generated delivery files, each in a process of its own with as many threads, in interleaved
rounds whose order is rotated. All counts are compared with a plain script's: if one differs there is no table.

The peers have it easier. They count events by access key, signature version and TLS version as they stand in the event,
and read no other field. trailmeter checks the whole of each event, counts each event id once, tells weak callers apart
with their clients and times, and by default finds the caller behind each call. Nor are the peers timed from the start
of their process, as trailmeter is: Python, imports and the engine are ready when their time begins.
"""

import argparse
import datetime
import functools
import json
import os
import pathlib
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import corpus  # noqa: E402
from peers import LEFT_OUT, PEERS  # noqa: E402

# name: how it is asked for; title: in the table; rows: which answer is right (None: none is asked for).
Contender = namedtuple("Contender", "name title command rows")
# Seconds, seconds of the processor, MB resident at most.
Run = namedtuple("Run", "wall cpu memory")

LIMIT, OWN = "inflate", "trailmeter"
TITLES = {
    "clickhouse": "ClickHouse (chdb)",
    "clickhouse-once": "ClickHouse, each event id once",
    "duckdb": "DuckDB",
    "duckdb-once": "DuckDB, each event id once",
    "duckdb-lines-gz": "DuckDB, on gzip'd lines",
    "duckdb-lines": "DuckDB, on plain lines",
    "polars": "polars",
    "polars-lines": "polars, on plain lines",
    "msgspec": "Python, msgspec + isal",
    "orjson": "Python, orjson + isal",
    "python": "Python, json + gzip",
    "jq": "gzip + jq + awk",
    "inflate-libdeflate": "only inflating: libdeflate (from Python)",
    "inflate-isal": "only inflating: ISA-L (from Python)",
    "inflate-zlib-ng": "only inflating: zlib-ng (from Python)",
    "inflate-zlib": "only inflating: zlib (from Python)",
}


def main(arguments=None):
    options = parse(arguments)
    # In this order: a bench comes with the program as its dev-dependencies make it, which is not the one to measure.
    inflate = options.inflate or build("--bench", "inflate")
    trailmeter = options.trailmeter or build("--bin", "trailmeter")
    made = corpus.make(trailmeter, options.cache, options.events, options.seed, options.bytes_per_event)
    with tempfile.TemporaryDirectory() as folder:
        rows = pathlib.Path(folder) / "rows.json"
        everyone = contenders(made.folder, trailmeter, inflate, rows, options.threads, options.corpus)
        if options.only:
            everyone = [one for one in everyone if one.name in options.only]
        keep_to_cores(options.threads)
        warm(made.folder)
        runs, left_out = rounds(everyone, made.folder, rows, options.rounds, options.limit)
    print(report(made, everyone, runs, left_out, options), end="")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bytes-per-event", type=int, help="requests grow until an event has this mean size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="for everyone (default 2)")
    parser.add_argument("--limit", type=float, default=100, metavar="SECONDS",
                        help="who takes longer is stopped, and not run again (default 100)")
    parser.add_argument("--only", type=lambda names: names.split(","), metavar="NAME,…",
                        help=f"of {OWN}, {OWN}-key, {OWN}-1, {OWN}-packs, {OWN}-rules, {LIMIT}, inflate-zlib-rs, {', '.join(PEERS)}")
    parser.add_argument("--cache", type=pathlib.Path, default=corpus.cache(), help="where the files are kept (default %(default)s)")
    parser.add_argument("--corpus", type=pathlib.Path, default=os.environ.get("TRAILMETER_CORPUS") or ROOT / "../shared/corpus",
                        help="a folder with the rules of Falco and Sigma (default: TRAILMETER_CORPUS)")
    parser.add_argument("--trailmeter", type=pathlib.Path, help="the program (default: a release build of it)")
    parser.add_argument("--inflate", type=pathlib.Path, help="the bench `inflate` (default: a build of it)")
    options = parser.parse_args(arguments)
    if options.threads < 1 or options.rounds < 1:
        parser.error("--threads and --rounds are at least 1")
    return options


def keep_to_cores(threads):
    """Nobody gets more cores than threads, whatever threads a library starts besides."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def build(kind, name):
    """Builds a part of the project; returns where it is."""
    command = ["cargo", "build", "--release", kind, name, "--message-format", "json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed")
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return next(message["executable"] for message in messages if message.get("executable") and message["target"]["name"] == name)


def contenders(folder, trailmeter, inflate, rows, threads, rules):
    """Who is run, in the order of the table."""
    delivery = folder / "delivery"

    def scan(name, title, *options, by=corpus.PRINCIPAL, threads=threads):
        command = [trailmeter, "scan", delivery, "--group-by", ",".join(by), "--threads", threads, "--format", "json",
                   "--output", rows, *options]
        return Contender(name, title, command, by)

    def inflating(name, library):
        command = [inflate, "--library", library, "--threads", threads, delivery]
        return Contender(name, f"only inflating: {library}", command, None)

    found = [
        inflating(LIMIT, "libdeflater"),
        inflating("inflate-zlib-rs", "zlib-rs"),
        scan(OWN, "trailmeter scan"),
        scan(f"{OWN}-key", "trailmeter scan, by access key", by=corpus.KEY),
        scan(f"{OWN}-1", "trailmeter scan, 1 thread", threads=1),
        scan(f"{OWN}-packs", "trailmeter scan, all packs", "--pack", "all"),
    ]
    falco, sigma = pathlib.Path(rules) / "falco/aws_cloudtrail_rules.yaml", pathlib.Path(rules) / "sigma-aws-cloudtrail"
    if falco.exists() and sigma.exists():
        found.append(scan(f"{OWN}-rules", "trailmeter scan, all packs, Falco's and Sigma's rules",
                          "--pack", "all", "--rules", falco, "--rules", sigma))
    for name in PEERS:
        command = [sys.executable, HERE / "peers.py", name, folder, "--threads", threads]
        is_count = not name.startswith("inflate")
        found.append(Contender(name, TITLES[name], command + (["--rows", rows] if is_count else []), corpus.KEY if is_count else None))
    return found


def warm(folder):
    """Reads all files once, so that nobody waits for the disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb", buffering=0) as opened:
                while opened.read(1 << 22):
                    pass


# --- running -----------------------------------------------------------------------------------------------------

def rounds(everyone, folder, rows, number, limit):
    """Runs everyone, round by round, in another order each; returns their runs, and why others have none."""
    right = {corpus.KEY: corpus.read_rows(folder / "by_key.json"), corpus.PRINCIPAL: corpus.read_rows(folder / "by_principal.json")}
    runs, left_out = {one.name: [] for one in everyone}, {}
    for turn in range(number):
        first = turn * len(everyone) // number
        for one in everyone[first:] + everyone[:first]:
            if one.name in left_out:
                continue
            print(f"round {turn + 1} of {number}: {one.title}", file=sys.stderr)
            rows.unlink(missing_ok=True)
            measured, why = run(one.command, limit)
            if why:
                left_out[one.name] = why
                print(f"  left out: {why}", file=sys.stderr)
                continue
            if one.rows:
                compare(one, rows, right[one.rows])
            runs[one.name].append(measured)
    return runs, left_out


def compare(one, rows, right):
    """Ends everything if the counts are not the right ones."""
    counted = read_counts(one, rows)
    if counted == right:
        return
    wrong = sorted(key for key in counted.keys() | right.keys() if counted.get(key) != right.get(key))
    some = "\n".join(f"  {key}: {counted.get(key, 0)} instead of {right.get(key, 0)}" for key in wrong[:10])
    raise SystemExit(f"{one.title} counted wrong, in {len(wrong)} of {len(right)} rows:\n{some}")


def read_counts(one, path):
    found = json.loads(path.read_text())
    if isinstance(found, list):
        return corpus.labelled(found)
    rejected = [name for name in ("files_with_problems", "interrupted") if found[name]]
    if rejected:
        raise SystemExit(f"{one.title}: {', '.join(rejected)}")
    if "--pack" in one.command and not any(rule["matches"] for rule in found["rules"]):
        raise SystemExit(f"{one.title}: no rule matched anything")
    return {tuple(row[field] for field in one.rows): row["calls"] for row in found["rows"]}


def run(command, limit):
    """Runs a command to its end: what it took, or why that is not known."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRAILMETER_")}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                                   env=clean, start_new_session=True)
        status, used, most = wait(process.pid, limit)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        told, wrong = output.read().decode(), errors.read().decode(errors="replace")
    why = failure(process.returncode, wrong, wall >= limit, limit)
    if why:
        return None, why
    cpu = used.ru_utime + used.ru_stime
    if told.startswith("{"):
        own = json.loads(told)
        wall, cpu = own["seconds"], own["cpu"]
    return Run(wall, cpu, most / 1e6), None


def wait(process, limit):
    """Waits for a process, which is killed with all below it at the limit, or if we are to end: its status, what it used,
    and how much was resident at most."""
    kill = functools.partial(os.killpg, process, signal.SIGKILL)
    is_over, most = threading.Event(), [0]
    watcher = threading.Thread(target=watch, args=(process, is_over, most))
    alarm = threading.Timer(limit, kill)
    watcher.start()
    alarm.start()
    try:
        _, status, used = os.wait4(process, 0)
    except BaseException:
        kill()
        raise
    finally:
        alarm.cancel()
        is_over.set()
        watcher.join()
    # The system tells the peak of a single process exactly, but it begins with ours, from which it was forked.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    exact = used.ru_maxrss if used.ru_maxrss > ours else 0
    return status, used, max(most[0], exact * 1024)


def failure(code, wrong, is_late, limit):
    if is_late and code == -signal.SIGKILL:
        return f"did not finish in {limit:.0f} s"
    last = (wrong.strip().splitlines() or ["it said nothing"])[-1]
    if code == LEFT_OUT:
        return f"not installed: {last}"
    return f"failed with {code}: {last}" if code else None


def watch(process, is_over, most):
    """Sums up what a process and those below it have resident, again and again; pages that they share count for each."""
    while True:
        most[0] = max(most[0], sum(map(resident, family(process))))
        if is_over.wait(0.02):
            return


def family(process):
    found = [process]
    for one in found:
        try:
            for thread in os.listdir(f"/proc/{one}/task"):
                found += map(int, pathlib.Path(f"/proc/{one}/task/{thread}/children").read_text().split())
        except OSError:
            pass  # it has ended
    return found


def resident(process):
    try:
        return int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


# --- what is printed ---------------------------------------------------------------------------------------------

COLUMNS = ["", "wall s, median", "least", "CPU s", "MB resident", "GB/s of JSON", "× inflating", "× trailmeter"]


def report(made, everyone, runs, left_out, options):
    ran = [one for one in everyone if runs[one.name] and one.name not in left_out]
    medians, least = ({one.name: of(run.wall for run in runs[one.name]) for one in ran} for of in (statistics.median, min))
    lines = [about(made, options), "", *table([COLUMNS] + [cells(one, runs[one.name], medians, made) for one in ran]), ""]
    counts = sum(bool(one.rows) for one in ran)
    lines += [f"All {counts} that count gave the same counts as a plain script, in every round."] if counts else []
    lines += [f"- {sentence}" for sentence in findings(medians, least)]
    lines += [f"- Left out: {one.title}: {left_out[one.name]}." for one in everyone if one.name in left_out]
    return "\n".join(lines) + "\n"


def about(made, options):
    day = datetime.date.today().isoformat()
    return (f"{day}, {processor()}, {options.threads} of {os.cpu_count()} cores, {platform.system()} {platform.machine()}. "
            f"{made.events:,} generated events in {made.files:,} files `{{\"Records\": […]}}`, {made.bytes / made.events:,.0f} "
            f"bytes an event, gzip ratio {made.bytes / made.gzip_bytes:.1f}. {options.rounds} interleaved rounds.")


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "processor unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "processor unknown"


def cells(one, runs, medians, made):
    wall = medians[one.name]

    def times(name):
        return f"{wall / medians[name]:.2f}" if name in medians else ""

    size = f"{made.bytes / 1e9 / wall:.2f}"
    return [one.title, f"{wall:.2f}", f"{min(run.wall for run in runs):.2f}", f"{statistics.median(run.cpu for run in runs):.2f}",
            f"{max(run.memory for run in runs):,.0f}", size, times(LIMIT), times(OWN)]


def table(rows):
    """Markdown whose columns stand below each other."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]

    def line(row):
        padded = [cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths))]
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (width + 2) if at == 0 else "-" * (width + 1) + ":" for at, width in enumerate(widths))
    return [line(rows[0]), f"|{rule}|", *map(line, rows[1:])]


def findings(medians, least):
    """What the table says of the figures that matter, of those that were measured."""
    def ratio(of, to):
        if of in medians and to in medians:
            return f"{medians[of] / medians[to]:.2f} times as long (of the least times: {least[of] / least[to]:.2f})"
        return None

    def on_delivery(name):
        return name in PEERS and not name.startswith("inflate") and "lines" not in name

    found = []
    if times := ratio(OWN, LIMIT):
        found.append(f"trailmeter scan takes {times} as only inflating the files.")
    fastest = min(filter(on_delivery, medians), key=medians.get, default=None)
    if times := ratio(fastest, OWN):
        found.append(f"The fastest peer on the files as delivered, {TITLES[fastest]}, takes {times} as trailmeter scan.")
    if times := ratio(f"{OWN}-1", OWN):
        found.append(f"One thread takes {times} as all.")
    for name, rules in ((f"{OWN}-packs", "all packs"), (f"{OWN}-rules", "all packs, Falco's and Sigma's rules")):
        if times := ratio(name, OWN):
            found.append(f"With {rules} it takes {times} as without rules.")
    return found


if __name__ == "__main__":
    main()
