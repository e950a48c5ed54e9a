#!/usr/bin/env python3
"""The runner over 2,000 events, with whichever peers are installed: `TRAILMETER=target/debug/trailmeter python3 benches/peers/test_run.py`.

It installs nothing: without the packages of requirements.txt, Python's own and jq are what is compared with.
"""

import io
import json
import os
import pathlib
import select
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import corpus  # noqa: E402
import run  # noqa: E402

TRAILMETER = os.environ.get("TRAILMETER")
KEY = {("AKIA1", "SigV2", "TLSv1"): 2, ("", "unknown", "unknown"): 1}
PRINCIPAL = {("1", "a", "SigV2", "TLSv1"): 3}


def contender(program, rows=corpus.KEY, name="python", **texts):
    """Someone who runs a Python program, in which texts are put."""
    return run.Contender(name, name, [sys.executable, "-c", program.format(**texts)], rows)


class Rounds(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.rows = self.folder / "rows.json"
        corpus.write_rows(self.folder / "by_key.json", KEY)
        corpus.write_rows(self.folder / "by_principal.json", PRINCIPAL)

    def counting(self, rows, **more):
        return contender("open({path!r}, 'w').write({text!r})", path=str(self.rows), text=json.dumps(rows), **more)

    def rounds(self, *everyone, number=1, limit=60):
        with redirect_stderr(io.StringIO()) as errors:
            runs, left_out = run.rounds(list(everyone), self.folder, self.rows, number, limit)
        self.told = errors.getvalue()
        return runs, left_out

    def test_rows_are_counted_by_labels(self):
        right = [["AKIA1", "2", "TLSv1.0", 1], ["AKIA1", "SigV2", "tlsv1", 1], [None, None, None, 1]]
        runs, left_out = self.rounds(self.counting(right), number=3)
        self.assertEqual((len(runs["python"]), left_out), (3, {}))
        self.assertTrue(all(one.wall > 0 and one.memory > 0 for one in runs["python"]))

    def test_a_wrong_count_ends_it(self):
        for wrong in ([["AKIA1", "2", "TLSv1.0", 2]], [["AKIA1", "2", "TLSv1.0", 3], [None, None, None, 1]], []):
            with self.assertRaisesRegex(SystemExit, "python counted wrong"):
                self.rounds(self.counting(wrong))

    def test_so_does_one_of_trailmeter(self):
        def scanned(calls):
            row = {"account_id": "1", "principal": "a", "signature_version": "SigV2", "tls_version": "TLSv1", "calls": calls}
            whole = {"rows": [row], "rules": [], "files_with_problems": [], "interrupted": False}
            return contender("open({path!r}, 'w').write({text!r})", corpus.PRINCIPAL, run.OWN, path=str(self.rows), text=json.dumps(whole))
        self.assertEqual(self.rounds(scanned(3))[1], {})
        with self.assertRaisesRegex(SystemExit, "2 instead of 3"):
            self.rounds(scanned(2))

    def test_rows_of_another_are_not_taken_for_its_own(self):
        right = self.counting([["AKIA1", "2", "TLSv1.0", 2], [None, None, None, 1]], name="right")
        with self.assertRaises(FileNotFoundError):
            self.rounds(right, contender("pass"))

    def test_who_is_missing_or_fails_is_left_out(self):
        missing = contender("import sys; print('no module', file=sys.stderr); sys.exit(77)", name="missing")
        failing = contender("raise ValueError('broken')", name="failing")
        runs, left_out = self.rounds(missing, failing, number=2)
        self.assertEqual(left_out, {"missing": "not installed: no module", "failing": "failed with 1: ValueError: broken"})
        self.assertEqual((runs, self.told.count("left out")), ({"missing": [], "failing": []}, 2))

    def test_who_does_not_end_is_ended_with_its_children(self):
        # Parent and child hold a pipe open: its end comes when both are gone.
        path = self.folder / "pipe"
        os.mkfifo(path)
        child = "import signal; signal.alarm(60); signal.pause()"
        parent = f"import subprocess, sys; pipe = open({str(path)!r}, 'w'); subprocess.run([sys.executable, '-c', {child!r}], pass_fds=[pipe.fileno()])"
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as pipe:
            _, why = run.run([sys.executable, "-c", parent], 1)
            is_over, _, _ = select.select([pipe], [], [], 10)
            self.assertEqual((is_over, pipe.read(), why), ([pipe], "", "did not finish in 1 s"))

    def test_memory_is_that_of_all_processes(self):
        grow = "held = bytearray(60_000_000)"
        both = f"import subprocess, sys; {grow}; subprocess.run([sys.executable, '-c', '{grow}; sum(held)'])"
        self.assertGreater(run.run([sys.executable, "-c", both], 60)[0].memory, 120)
        self.assertLess(run.run([sys.executable, "-c", "pass"], 60)[0].memory, 60)

    def test_a_peer_tells_its_own_time(self):
        told, _ = run.run([sys.executable, "-c", "print('{\"seconds\": 0.25, \"cpu\": 0.5}')"], 60)
        self.assertEqual((told.wall, told.cpu), (0.25, 0.5))


class Table(unittest.TestCase):
    def test_it_has_medians_and_what_they_say(self):
        everyone = [run.Contender(name, name, [], corpus.KEY) for name in (run.LIMIT, run.OWN, "clickhouse", "duckdb-lines", "jq")]
        walls = {run.LIMIT: (1, 1, 2), run.OWN: (1.5, 9, 1.4), "clickhouse": (4, 3, 2), "duckdb-lines": (1, 1, 1), "jq": ()}
        runs = {name: [run.Run(wall, 1, 10) for wall in of] for name, of in walls.items()}
        made = corpus.Corpus(None, 10, 2, 3_000_000_000, 300_000_000)
        told = run.report(made, everyone, runs, {"jq": "not installed"}, run.parse(["--rounds", "3"]))
        rows = {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in (line.split("|") for line in told.splitlines()) if len(cells) > 2}
        self.assertEqual(rows["clickhouse"], ["3.00", "2.00", "1.00", "10", "1.00", "3.00", "2.00"])
        self.assertEqual(rows[run.OWN][:2] + rows[run.OWN][-2:], ["1.50", "1.40", "1.50", "1.00"])
        self.assertNotIn("jq", rows)
        for sentence in ("takes 1.50 times as long (of the least times: 1.40) as only inflating", "ClickHouse (chdb), takes 2.00 times as long (of the least times: 1.43)", "Left out: jq: not installed.",
                         "gzip ratio 10.0", "All 4 that count"):
            self.assertIn(sentence, told)


class Events(unittest.TestCase):
    def test_they_are_taken_as_they_stand(self):
        self.assertEqual(list(corpus.raw_events('{"Records":[{"a":"],[","b":1.0},{"é":[]}]}')), ['{"a":"],[","b":1.0}', '{"é":[]}'])
        self.assertEqual(list(corpus.raw_events('{"Records":[]}')), [])


class Whole(unittest.TestCase):
    def setUp(self):
        if not TRAILMETER:
            print("\nSKIPPED: name the program in TRAILMETER", file=sys.stderr)
            self.skipTest("no program: set TRAILMETER")

    def test_a_small_corpus(self):
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
            names = [one for one in run.PEERS if not one.startswith("inflate")]
            own = [run.OWN, f"{run.OWN}-key", f"{run.OWN}-1", f"{run.OWN}-packs", f"{run.OWN}-rules"]
            options = ["--events", "2000", "--rounds", "2", "--cache", folder, "--trailmeter", TRAILMETER, "--inflate", "/nowhere",
                       "--only", ",".join(own + names + ["inflate-zlib"])]
            run.main(options)
            made = list(pathlib.Path(folder).iterdir())
            run.main(options[:2] + ["--rounds", "1", *options[4:-1], f"{run.OWN},python"])
            self.assertEqual(list(pathlib.Path(folder).iterdir()), made)
        told = out.getvalue()
        for title in ("trailmeter scan ", "trailmeter scan, all packs ", "Python, json + gzip", "only inflating: zlib"):
            self.assertIn(f"| {title}", told)
        self.assertNotIn("failed with", told)
        self.assertEqual(errors.getvalue().count("Making 2000 events"), 1)


if __name__ == "__main__":
    unittest.main()
