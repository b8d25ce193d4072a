"""Parquet files, each put in place whole: rows in groups of bounded size, so that memory does not grow with them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from central.files import sync_directory
from central.neighbours.tables.schema import Table

GROUP_ROWS = 65_536
"""In one row group: a few MiB while it is made, and what a reader can pass over as a whole."""
_KINDS = {
    "timestamp": pa.timestamp("ms", tz="UTC"),
    "string": pa.string(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}


class PartitionWriter:
    """One file. Rows are tuples in the order of the table's fields. `finish` puts it in place, `abandon` removes what
    was begun; whatever happens, a file of the final name is whole."""

    def __init__(self, path: Path, table: Table) -> None:
        self._path, self._aside = path, path.with_name(path.name + ".new")
        fields = [pa.field(each.name, _KINDS[each.kind], nullable=each.nullable) for each in table.fields]
        self._schema = pa.schema(fields, metadata={"tapgate.table": table.title})
        self._pending: list[pa.RecordBatch] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._aside, self._schema, compression="zstd")

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Held as Arrow, which takes a tenth of what rows take, until a group is full."""
        if not rows:
            return
        columns = [
            pa.array(column, type=field.type)
            for column, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._pending.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        held = pa.Table.from_batches(self._pending, schema=self._schema)
        while held.num_rows >= GROUP_ROWS:
            self._writer.write_table(held.slice(0, GROUP_ROWS), row_group_size=GROUP_ROWS)
            held = held.slice(GROUP_ROWS)
            self._pending = held.to_batches()

    def finish(self) -> int:
        """The file's size in bytes, once it is durable."""
        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending, schema=self._schema))
        self._writer.close()
        descriptor = os.open(self._aside, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._aside.replace(self._path)
        sync_directory(self._path.parent)
        return self._path.stat().st_size

    def abandon(self) -> None:
        """What was begun goes; what stood there before stays."""
        try:
            self._writer.close()  # on a full disk it fails once more
        finally:
            self._aside.unlink(missing_ok=True)
