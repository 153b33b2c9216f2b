"""`Table`: a name, a snapshot, and the way to its rows.

Must not know: manifests, Parquet, bytes. Neighbours: `headrace.catalog` finds metadata, `headrace.iceberg` reads it,
`headrace.filters` binds filters, `headrace.plan` loads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headrace.access import TableAccess
from headrace.catalog import Catalog, LoadedTable, load_catalog
from headrace.catalog.identifiers import parse_identifier
from headrace.changes import Changes
from headrace.errors import InvalidArgument
from headrace.fastdata.tables import FastDataTable
from headrace.hive.surface import HiveWrites
from headrace.iceberg import Schema, Snapshot, TableMetadata, select_snapshot
from headrace.iceberg.snapshots import MAIN
from headrace.inspection import Inspection
from headrace.plan import ProgressOption, ScanPlan
from headrace.writing.administration import Administration
from headrace.writing.create import create
from headrace.writing.maintenance import Maintenance
from headrace.writing.manifests import plan_request

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from headrace.dataframe import MetaflowDataFrame
    from headrace.filters import Expression


class Table(FastDataTable, HiveWrites, Administration, Maintenance, Inspection, Changes):
    """A warehouse table, pinned to one snapshot until it is written to: then it shows what it wrote.

    Parameters
    ----------
    db : str
        "db.table" (or "a.b.table"), or the namespace alone where `table` is given.
    table : str or None
        Name of the table in `db`.
    catalog : str, Catalog or None
        A configured catalog's name or an open catalog; None is the default catalog.
    catalog_name : str
        The same as a name, as the Fast Data surface has it.
    snapshot_id, as_of, branch, tag
        Which snapshot (at most one of them): an id; a time (datetime, ISO text, milliseconds; without a zone UTC); a
        branch's head; a tag. None is the current snapshot.

    Raises
    ------
    MetaflowTableNotFound, NamespaceNotFound
        With the nearest name.
    ConfigurationError, AuthenticationError, UnreachableError
        The catalog cannot be used or reached.

    Notes
    -----
    A Table pickles as identity and snapshot: no secrets, no metadata. In another process it finds its credentials in
    that process's configuration, and reads the same snapshot.

    Examples
    --------
    >>> table = Table("demo.lineitem", catalog="demo")  # doctest: +SKIP
    >>> table.load("l_shipdate >= '1998-09-01'", columns=["l_orderkey"])  # doctest: +SKIP
    """

    def __init__(
        self,
        db: str | Sequence[str],
        table: str | None = None,
        catalog: str | Catalog | None = None,
        catalog_name: str = "",
        *,
        snapshot_id: int | None = None,
        as_of: datetime | str | int | None = None,
        branch: str | None = None,
        tag: str | None = None,
    ) -> None:
        identifier = parse_identifier(db) if table is None else (*_namespace(db), table)
        if len(identifier) < 2:
            raise InvalidArgument(f"a table is named 'db.table', found {db!r}")
        opened = catalog if isinstance(catalog, Catalog) else load_catalog(catalog or catalog_name or None)
        chosen = {"snapshot_id": snapshot_id, "as_of": as_of, "branch": branch, "tag": tag}
        self._begin(TableAccess(opened, identifier), chosen)

    @classmethod
    def at(
        cls,
        location: str | os.PathLike[str],
        *,
        snapshot_id: int | None = None,
        as_of: datetime | str | int | None = None,
        branch: str | None = None,
        tag: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Table:
        """Open a table without a catalog.

        Parameters
        ----------
        location : str or path
            A metadata file, or the table's folder (its version hint, else its newest metadata); on S3 or local.
        properties : mapping of str to str or None
            Storage properties (`s3.endpoint`, ...); `location-map` ("from=to,from=to") for a table that was copied:
            metadata, manifests, data and delete files are read at their new place. Such a table is read-only.

        Raises
        ------
        MetaflowTableNotFound, MetaflowTableInvalidData
            There is no table, or its metadata cannot be read.
        """
        location = _absolute(location)
        access = TableAccess(None, (location.rstrip("/").rpartition("/")[2],), location, properties)
        return cls._of(access, {"snapshot_id": snapshot_id, "as_of": as_of, "branch": branch, "tag": tag})

    @classmethod
    def create(
        cls,
        name: str | Sequence[str],
        schema: Any,
        *,
        partition_by: str | Sequence[str] | None = None,
        sort_by: str | Sequence[str] | None = None,
        properties: Mapping[str, str] | None = None,
        catalog: str | Catalog | None = None,
        location: str | None = None,
        if_exists: str = "error",
    ) -> Table:
        """Make a table without rows.

        Parameters
        ----------
        name : str or sequence of str
            "db.table"; the namespace must exist.
        schema : frame, Arrow schema, dataclass, dict or Schema
            A frame gives its columns, not its rows. A dict is {"id": "long", "tags": "list<string>"}.
        partition_by : str, sequence of str or None
            Columns or transforms of them: "ds", "day(ts)", "bucket(16, id)", "truncate(4, name)".
        sort_by : str, sequence of str or None
            "id", "ts desc", "ts desc nulls last".
        properties : mapping of str to str or None
            Table properties; `format-version` is "2" unless given.
        catalog : str, Catalog or None
            As in `Table`.
        location : str or None
            The table's folder; None: where the catalog puts it.
        if_exists : {"error", "ok", "replace"}
            "ok" opens the table that is there, if it has the columns that are asked for. "replace" makes the table that
            is there what is asked for, in one commit and without rows: it keeps its location, its other branches and
            tags, properties that are not given, and its snapshots until they expire. Columns of the same name and
            type keep their field ids.

        Raises
        ------
        MetaflowTableExists, MetaflowTableIncompatible, NamespaceNotFound
            The table is there; it has other columns; there is no such namespace.

        Examples
        --------
        >>> Table.create("db.events", {"id": "long", "ts": "timestamp"}, partition_by="day(ts)")  # doctest: +SKIP
        """
        identifier = parse_identifier(name)
        opened = catalog if isinstance(catalog, Catalog) else load_catalog(catalog)
        replacing = create(opened, identifier, schema, partition_by, sort_by, properties, location, if_exists)
        table = cls(identifier, catalog=opened)
        if replacing is not None:
            table._define_anew(replacing, partition_by, sort_by, properties)
        return table

    @classmethod
    def from_pyiceberg(cls, table: Any) -> Table:
        """The table that a `pyiceberg.table.Table` stands for, at its current metadata file."""
        properties = {
            key: str(value) for key, value in table.io.properties.items() if key.startswith(("s3.", "client."))
        }
        return cls._of(TableAccess(None, tuple(table.name()), table.metadata_location, properties), {})

    @classmethod
    def _of(cls, access: TableAccess, chosen: Mapping[str, Any]) -> Table:
        made = cls.__new__(cls)
        made._begin(access, chosen)
        return made

    def _begin(self, access: TableAccess, chosen: Mapping[str, Any]) -> None:
        self._access = access
        self._chosen = {key: value for key, value in chosen.items() if value is not None}
        self._branch = _write_branch(self._chosen)
        _ = self._selected  # an unknown table, snapshot or branch is told here, not at the first load

    @cached_property
    def _selected(self) -> tuple[Snapshot | None, Schema]:
        with self._access.naming():
            return select_snapshot(self.metadata, **self._chosen)

    @property
    def metadata(self) -> TableMetadata:
        """The table's metadata as it was when the Table was opened."""
        return self._access.loaded().metadata

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot that is read; None for a table without any."""
        return self._selected[0]

    @property
    def snapshot_schema(self) -> Schema:
        """The columns as of the snapshot."""
        return self._selected[1]

    @property
    def db(self) -> str:
        """The namespace."""
        return ".".join(self._access.identifier[:-1])

    @property
    def table_name(self) -> str:
        """The name without its namespace."""
        return self._access.identifier[-1]

    @property
    def catalog(self) -> str:
        """The catalog's name, "" without a catalog."""
        return self._access.catalog.name if self._access.catalog else ""

    @property
    def path(self) -> str:
        """ "db/table"."""
        return f"{self.db}/{self.table_name}"

    @property
    def full_path(self) -> str:
        """ "catalog/db/table"."""
        return f"{self.catalog}/{self.path}"

    @property
    def schema(self) -> list[dict[str, Any]]:
        """Columns as dicts: those of the table's metadata (id, name, required, doc, type: a name, or a dict for nested
        types) and `field_id`, which is `id`."""
        return [each.to_json() | {"field_id": each.field_id, "doc": each.doc} for each in self.snapshot_schema.fields]

    @property
    def is_iceberg(self) -> bool:
        """Whether it is an Iceberg table."""
        return not self.is_hive

    @property
    def is_hive(self) -> bool:
        """Whether it is a legacy Hive table: folders of files that a metastore lists."""
        return self._access.loaded().hive is not None

    @property
    def partition_columns(self) -> list[str]:
        """Names of the columns that the current partition spec is made from."""
        names = self.metadata.schema.names_by_id
        sources = [each.source_id for each in self.metadata.spec.fields if each.transform.name != "void"]
        return [names[each] for each in dict.fromkeys(sources) if each in names]

    def _moved(self, loaded: LoadedTable) -> None:
        """See what this Table has just committed: the head of its branch."""
        self._access = self._access.moved(loaded)
        if self._branch is not None:
            self._chosen = {} if self._branch == MAIN else {"branch": self._branch}
            self.__dict__.pop("_selected", None)

    def refresh(self) -> Table:
        """The same table as it is now: metadata read again, the same branch, tag or time chosen."""
        return Table._of(self._access.fresh(), self._chosen)

    def scan(
        self,
        filter: str | Expression | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
    ) -> ScanPlan:
        """Find the files that hold the rows; nothing but metadata is read.

        Parameters
        ----------
        filter : str, Expression or None
            SQL-like text ("ds >= '2026-01-01' and country in ('US', 'CA')") or `col("ds") >= ...`. Rows for which it
            is not true (false, or null) are left out, exactly.
        columns : sequence of str or None
            Columns to give, "a.b" for a field of a struct; None gives all. Where a row lies is asked for by name:
            "_file" (its data file), "_pos" (its row in there, from 0), "_spec_id" (the file's partition spec),
            "_partition" (a struct of the file's partition values, a field each of all the table's specs). So is, in
            tables of format version 3, its lineage: "_row_id" and "_last_updated_sequence_number".
        limit : int or None
            Rows at most, the first in the order of the files.
        params : mapping or None
            Values of the text's parameters: "id = :id" with {"id": 5}.

        Returns
        -------
        ScanPlan
            Prints what it reads and what it pruned; `.load()` loads it.

        Raises
        ------
        ColumnNotFound, FilterError
            With the nearest name, and where in the text.
        UnsupportedError
            A data or delete file that is encrypted or neither Parquet nor Avro (a deletion vector: Puffin):
            names it.

        Notes
        -----
        Row deletes (position deletes, equality deletes, deletion vectors) are found here and applied by the load.
        """
        from headrace import _engine
        from headrace.filters import as_filter, bind

        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise InvalidArgument(f"limit is a number of rows, found {limit!r}")
        if (hive := self._access.loaded().hive) is not None:
            from headrace.hive.planning import plan_scan

            with self._access.naming():
                return plan_scan(self._access, hive, as_filter(filter, params), columns, limit)
        snapshot, table_schema = self._selected
        metadata = self.metadata
        with self._access.naming():
            schema = table_schema.with_metadata(columns, metadata.partition_type(table_schema)).select(columns)
            expression = as_filter(filter, params)
            bound = None if expression is None else bind(expression, table_schema).to_engine_json()
            request = plan_request(self._access.name, metadata, snapshot, table_schema)
            files, report = _engine.plan(self._access.store(), request, bound)
        return ScanPlan(
            access=self._access,
            files=files,
            schema=schema,
            table_schema=table_schema,
            snapshot_id=snapshot.snapshot_id if snapshot else None,
            filter_text=None if expression is None else str(expression),
            filter_json=bound,
            name_mapping=metadata.name_mapping,
            limit=limit,
            report_json=report,
        )

    def load(
        self,
        filter: str | Expression | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        progress: ProgressOption = None,
    ) -> MetaflowDataFrame:
        """Scan and load in one call: see `scan` and `ScanPlan.load`."""
        return self.scan(filter, columns, limit, params=params).load(progress=progress)

    def to_pandas(
        self, filter: str | Expression | None = None, columns: Sequence[str] | None = None, **options: Any
    ) -> pandas.DataFrame:
        """Scan and load straight into pandas: see `ScanPlan.to_pandas`."""
        return self.scan(filter, columns).to_pandas(**options)

    def to_polars(
        self, filter: str | Expression | None = None, columns: Sequence[str] | None = None
    ) -> polars.DataFrame:
        """Scan and load straight into Polars."""
        return self.scan(filter, columns).to_polars()

    def to_arrow(self, filter: str | Expression | None = None, columns: Sequence[str] | None = None) -> pyarrow.Table:
        """Scan and load straight into PyArrow."""
        return self.scan(filter, columns).to_arrow()

    def __repr__(self) -> str:
        snapshot = self.snapshot
        at = f"snapshot {snapshot.snapshot_id}" if snapshot else "no snapshot"
        rows = (snapshot.summary or {}).get("total-records") if snapshot else None
        size = f", {int(rows):,} rows" if rows and rows.isdigit() else ""
        columns = f"{len(self.snapshot_schema.fields)} columns"
        if self.is_hive:
            keys = f", partitioned by {', '.join(self.partition_columns)}" if self.partition_columns else ""
            return f"<Table {self._access.name}: Hive, {columns}{keys}>"
        return f"<Table {self._access.name}: v{self.metadata.format_version}, {columns}{size}, {at}>"

    def __reduce__(self) -> tuple[Any, ...]:
        snapshot = self.snapshot
        pinned = {"snapshot_id": snapshot.snapshot_id} if snapshot else {}
        return _restore, (self._access, self._chosen, pinned)


def _restore(access: TableAccess, chosen: dict[str, Any], pinned: dict[str, Any]) -> Table:
    """Rebuild a pickled Table: it loads on first use, at the snapshot it had. A branch's schema stays its own."""
    table = Table.__new__(Table)
    table._access = access
    table._chosen = pinned if pinned else chosen
    table._branch = _write_branch(chosen)
    return table


def _write_branch(chosen: Mapping[str, Any]) -> str | None:
    """The branch that a Table opened so writes to; None for one that was opened at a snapshot, time or tag."""
    return str(chosen.get("branch", MAIN)) if set(chosen) <= {"branch"} else None


def _absolute(location: str | os.PathLike[str]) -> str:
    """The location with a path of this machine made absolute: another process has another working folder."""
    text = os.fspath(location)
    return text if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) else os.path.abspath(text)


def _namespace(db: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(db.split(".")) if isinstance(db, str) else tuple(db)
