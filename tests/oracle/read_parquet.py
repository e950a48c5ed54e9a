#!/usr/bin/env python3
"""Reads a Parquet file with DuckDB: `read_parquet.py FILE` prints its columns' types, how they are stored, and its rows."""

import datetime
import json
import sys

import duckdb


def main():
    connection = duckdb.connect()
    described = connection.execute("DESCRIBE SELECT * FROM read_parquet($1)", [sys.argv[1]]).fetchall()
    types = {name: kind for name, kind, *_ in described}
    stored = connection.execute("SELECT path_in_schema, encodings, compression, num_values FROM parquet_metadata($1)",
                                [sys.argv[1]]).fetchall()
    shown = [f'epoch_ms("{name}")' if kind.startswith("TIMESTAMP") else f'"{name}"' for name, kind in types.items()]
    rows = connection.execute(f"SELECT {', '.join(shown)} FROM read_parquet($1)", [sys.argv[1]]).fetchall()

    def value(name, found):
        if not types[name].startswith("TIMESTAMP"):
            return found
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=found)
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")

    json.dump({
        "types": types,
        "stored": [{"column": column, "encodings": encodings, "compression": compression, "values": values}
                   for column, encodings, compression, values in stored],
        "rows": [{name: value(name, found) for name, found in zip(types, row)} for row in rows],
    }, sys.stdout)


if __name__ == "__main__":
    main()
