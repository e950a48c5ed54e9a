#!/usr/bin/env python3
"""A server that speaks Athena and S3: moto's, whose queue of results is filled by what DuckDB counts of the files in S3.

`athena_server.py PORT`. What moto does not have is here: the properties of tables, queries that fail, and answers of
several pages. A query with the word `sleep_for_ever` in it runs until it is stopped."""

import json
import re
import sys
import threading

from moto.athena.exceptions import MetadataException
from moto.athena.models import AthenaBackend, QueryResults
from moto.athena.responses import AthenaResponse
from moto.core.base_backend import BackendDict  # noqa: F401 (moto wants it loaded before its server)
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

import athena

PAGE = 1000
LOCK = threading.RLock()
TABLES = {}
DATABASES = {}
FAILED = {}
SCANNED = {}

moto_start = AthenaBackend.start_query_execution
moto_execution = AthenaResponse.get_query_execution
moto_results = AthenaResponse.get_query_results


def files(location):
    """What lies in S3 at a place."""
    bucket, prefix = location.removeprefix("s3://").split("/", 1)
    for account in s3_backends.values():
        for backend in account.values():
            for key in list(backend.buckets[bucket].keys if bucket in backend.buckets else ()):
                if key.startswith(prefix):
                    yield f"s3://{bucket}/{key}", backend.get_object(bucket, key).value


def columns(names):
    return [{"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name, "Type": "varchar",
             "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN", "CaseSensitive": True} for name in names]


def data(row):
    return {"Data": [{} if value is None else {"VarCharValue": value} for value in row]}


def ran(query):
    """The rows of a query, and the bytes that were read."""
    if query.startswith("CREATE EXTERNAL TABLE"):
        table = athena.Table(query)
        TABLES.setdefault(table.name, table)
        return [], 0
    altered = re.match(r"ALTER TABLE `(\w+)`\.`(\w+)` SET TBLPROPERTIES", query)
    if altered:
        TABLES[".".join(altered.groups())].properties.update(athena.PROPERTY.findall(query))
        return [], 0
    name = ".".join(re.search(r'FROM "(\w+)"\."(\w+)"', query).groups())
    table = TABLES[name]
    found = list(files(table.location))
    known = (name, json.dumps(table.properties), len(found))
    if known not in DATABASES:
        DATABASES[known] = athena.Database(table, found)
    names, rows = DATABASES[known].answer(query)
    return [names, *rows], sum(len(content) for _, content in found)


def start(self, query, context, config, workgroup, execution_parameters):
    with LOCK:
        failed, rows, scanned = None, [], 0
        try:
            if "sleep_for_ever" not in query:
                rows, scanned = ran(query)
        except athena.Refused as error:
            failed = str(error)
        names = rows[0] if rows else []
        self.query_results_queue.append(QueryResults([data(row) for row in rows], columns(names)))
        id_ = moto_start(self, query, context, config, workgroup, execution_parameters)
        SCANNED[id_] = scanned
        if failed:
            FAILED[id_] = failed
        return id_


def get_query_execution(self):
    answer = json.loads(moto_execution(self))
    execution = answer["QueryExecution"]
    id_ = execution["QueryExecutionId"]
    execution["Statistics"]["DataScannedInBytes"] = SCANNED[id_]
    status = execution["Status"]
    if "sleep_for_ever" in execution["Query"] and status["State"] == "SUCCEEDED":
        status["State"] = "RUNNING"
    if id_ in FAILED and status["State"] == "SUCCEEDED":
        status |= {"State": "FAILED", "StateChangeReason": FAILED[id_]}
    return json.dumps(answer)


def get_query_results(self):
    answer = json.loads(moto_results(self))
    found = answer["ResultSet"]
    begin = int(self._get_param("NextToken") or 0)
    if begin + PAGE < len(found["Rows"]):
        answer["NextToken"] = str(begin + PAGE)
    found["Rows"] = found["Rows"][begin:begin + PAGE]
    return json.dumps(answer)


def get_table_metadata(self):
    name = f"{self._get_param('DatabaseName')}.{self._get_param('TableName')}"
    if name not in TABLES:
        raise MetadataException(f"EntityNotFoundException: Entity Not Found: {name}")
    table = TABLES[name]
    listed = [{"Name": column, "Type": kind.sql("hive").lower()} for column, kind in table.columns]
    return json.dumps({"TableMetadata": {"Name": name.split(".")[1], "TableType": "EXTERNAL_TABLE", "Columns": listed,
                                         "Parameters": {"EXTERNAL": "TRUE", **table.properties}}})


AthenaBackend.start_query_execution = start
AthenaResponse.get_query_execution = get_query_execution
AthenaResponse.get_query_results = get_query_results
AthenaResponse.get_table_metadata = get_table_metadata

if __name__ == "__main__":
    application = DomainDispatcherApplication(create_backend_app)
    make_server("127.0.0.1", int(sys.argv[1]), application, threaded=True).serve_forever()
