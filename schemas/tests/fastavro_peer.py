"""Reads Avro records with fastavro, tells their values, and writes them again the way fastavro does.

stdin:  {"schema": {...}, "records": ["hex", ...]}
stdout: {"values": [{...}, ...], "written": ["hex", ...]}; decimals, times and bytes as text.
"""

import io
import json
import sys
from datetime import datetime
from decimal import Decimal

import fastavro


def plain(value):
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value


def main():
    question = json.load(sys.stdin)
    schema = fastavro.parse_schema(question["schema"])
    values, written = [], []
    for record in question["records"]:
        source = io.BytesIO(bytes.fromhex(record))
        value = fastavro.schemaless_reader(source, schema)
        assert source.read() == b"", "bytes are left over"
        target = io.BytesIO()
        fastavro.schemaless_writer(target, schema, value)
        values.append({name: plain(field) for name, field in value.items()})
        written.append(target.getvalue().hex())
    json.dump({"values": values, "written": written}, sys.stdout)


main()
