#!/usr/bin/env python3
"""What Athena would answer, by DuckDB: its table is made of the DDL and filled with the events of delivery files as Athena's
reader of JSON does it; its SQL is translated by sqlglot.

`athena.py FOLDER…` reads the statements that `trailmeter scan --print-sql --create-table` prints, and prints the rows of
the query, each as an object."""

import gzip
import json
import pathlib
import re
import sys
import tempfile

import duckdb
import sqlglot
from sqlglot import exp

PROPERTY = re.compile(r"'([^']+)'\s*=\s*'([^']*)'")


class Refused(Exception):
    """What Athena would not run."""


class Table:
    """A table as its DDL makes it."""

    def __init__(self, ddl):
        created = sqlglot.parse_one(ddl, read="athena")
        if not isinstance(created, exp.Create):
            raise Refused("this creates no table")
        schema = created.this
        self.name = f"{schema.this.db}.{schema.this.name}"
        columns = [column for column in schema.expressions if isinstance(column, exp.ColumnDef)]
        self.columns = [(column.name, column.args["kind"]) for column in columns]
        partitions = created.find(exp.PartitionedByProperty)
        self.partitions = [column.name for column in partitions.this.expressions]
        self.properties = dict(PROPERTY.findall(ddl))
        self.location = re.search(r"LOCATION\s+'([^']+)'", ddl)[1]

    def partition_of(self, url):
        """The values of the partition columns for a file, or None where the projection finds no such file."""
        template = re.escape(self.properties["storage.location.template"])
        for column in self.partitions:
            parts = "[0-9]{4}/[0-9]{2}/[0-9]{2}" if self.properties.get(f"projection.{column}.type") == "date" else "[^/]+"
            template = template.replace(re.escape(f"${{{column}}}"), f"(?P<{column}>{parts})")
        found = re.match(template + "[^/]+$", url)
        if not found:
            return None
        values = found.groupdict()
        for column, value in values.items():
            listed = self.properties.get(f"projection.{column}.values")
            if listed is not None and value not in listed.split(","):
                return None
        return values


def reader(kind):
    """What puts a JSON value into a column of this type, as Athena's reader does it."""
    if kind.is_type("struct"):
        fields = [(field.name, reader(field.args["kind"])) for field in kind.expressions]

        def struct(value):
            if not isinstance(value, dict):
                return None
            folded = {key.lower(): inner for key, inner in value.items()}
            return {name: read(folded.get(name)) for name, read in fields}
        return struct
    if kind.is_type("array"):
        element = reader(kind.expressions[0])
        return lambda value: [element(one) for one in value] if isinstance(value, list) else None
    if kind.is_type("map"):
        element = reader(kind.expressions[1])
        return lambda value: {key: element(one) for key, one in value.items()} if isinstance(value, dict) else None
    return text


def text(value):
    """A value as a column of texts has it: anything but a text as its JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def records(data):
    """The events of a delivery file."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    read = json.loads(data)
    return read.get("Records", []) if isinstance(read, dict) else []


class Database:
    """DuckDB with one table, filled from `files`: pairs of a URL and the bytes there."""

    def __init__(self, table, files):
        self.connection = duckdb.connect()
        types = {name: kind.sql("duckdb") for name, kind in table.columns}
        types |= {name: "TEXT" for name in table.partitions}
        readers = [(name, reader(kind)) for name, kind in table.columns]
        with tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8", errors="replace") as rows:
            for url, data in files:
                partition = table.partition_of(url)
                for event in records(data) if partition is not None else ():
                    folded = {key.lower(): value for key, value in event.items()}
                    row = {name: read(folded.get(name)) for name, read in readers}
                    rows.write(json.dumps(row | partition, ensure_ascii=False) + "\n")
            rows.flush()
            database, name = table.name.split(".")
            columns = ", ".join(f"'{column}': '{kind}'" for column, kind in types.items())
            self.connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"')
            self.connection.execute(
                f'CREATE TABLE "{database}"."{name}" AS SELECT * FROM read_json(\'{rows.name}\', '
                f"format = 'newline_delimited', maximum_object_size = 67108864, columns = {{{columns}}})")

    def answer(self, sql):
        """The names of the columns, and the rows as texts."""
        try:
            found = self.connection.execute(sqlglot.transpile(sql, read="athena", write="duckdb")[0])
            names = [column[0] for column in found.description]
            return names, [[as_text(value) for value in row] for row in found.fetchall()]
        except (duckdb.Error, sqlglot.errors.SqlglotError) as error:
            raise Refused(str(error)) from error


def as_text(value):
    """A value as Athena writes it."""
    return ("true" if value else "false") if isinstance(value, bool) else None if value is None else str(value)


def main():
    statements = [text.strip() for text in sys.stdin.read().split(";\n") if text.strip()]
    ddl, sql = statements
    table = Table(ddl)
    files = []
    for folder in sys.argv[1:]:
        for path in sorted(pathlib.Path(folder).rglob("*.json*")):
            if path.is_file():
                files.append((table.location.removesuffix("AWSLogs/") + path.relative_to(folder).as_posix(), path.read_bytes()))
    names, rows = Database(table, files).answer(sql)
    json.dump([dict(zip(names, row)) for row in rows], sys.stdout)


if __name__ == "__main__":
    main()
