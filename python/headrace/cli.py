"""`headrace`: tables, schemas, plans and rows from a shell.

    headrace tables [NAMESPACE]        headrace plan TABLE --filter "ds = '2026-01-01'"
    headrace schema TABLE              headrace show TABLE --columns a,b --limit 20
    headrace config

TABLE is "db.table" in a catalog, or a location (a path, `s3://...`). Must not know: how anything is done. Neighbours:
`headrace.table`, `headrace.catalog`, `headrace.config`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.plan import ScanPlan
    from headrace.table import Table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for an error of headrace's, 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except HeadraceError as error:
        print(f"headrace: {error.headline}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="headrace", description="Warehouse tables in this process's memory.")
    parser.add_argument("--catalog", help="a configured catalog; default: the default one")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    tables = commands.add_parser("tables", help="tables of a namespace, or of all")
    tables.add_argument("namespace", nargs="?")
    tables.set_defaults(run=_tables)
    schema = commands.add_parser("schema", help="columns and partitioning of a table")
    plan = commands.add_parser("plan", help="which files a scan reads, and what it prunes")
    show = commands.add_parser("show", help="rows of a table")
    for command, run in ((schema, _schema), (plan, _plan), (show, _show)):
        command.add_argument("table", help='"db.table", or a location')
        command.set_defaults(run=run)
    for command in (plan, show):
        command.add_argument("--filter", help="\"ds >= '2026-01-01' and x > 5\"")
        command.add_argument("--columns", help="a,b,c")
    show.add_argument("--limit", type=int, default=10, help="rows (default: 10)")
    config = commands.add_parser("config", help="a catalog's properties (secrets hidden), and where from")
    config.set_defaults(run=_config)
    return parser


def _table(options: argparse.Namespace) -> Table:
    from headrace.table import Table

    if "/" in options.table:
        return Table.at(options.table)
    return Table(options.table, catalog=options.catalog)


def _scan(options: argparse.Namespace, limit: int | None) -> ScanPlan:
    columns = options.columns.split(",") if options.columns else None
    return _table(options).scan(options.filter, columns, limit)


def _tables(options: argparse.Namespace) -> None:
    from headrace.catalog import load_catalog

    catalog = load_catalog(options.catalog)
    namespaces = [tuple(options.namespace.split("."))] if options.namespace else catalog.list_namespaces()
    for namespace in namespaces:
        for identifier in catalog.list_tables(namespace):
            print(".".join(identifier))


def _schema(options: argparse.Namespace) -> None:
    table = _table(options)
    print(table)
    for field in table.snapshot_schema.fields:
        print(f"  {field}")
    if table.partition_columns:
        print(f"partitioned by {', '.join(table.partition_columns)}")


def _plan(options: argparse.Namespace) -> None:
    print(_scan(options, None).explain())


def _show(options: argparse.Namespace) -> None:
    print(_scan(options, options.limit).load())


def _config(options: argparse.Namespace) -> None:
    from headrace import config

    found = config.resolve(options.catalog)
    print(f"catalog {found.name!r}, type {config.catalog_type(found)}")
    for name, value in sorted(config.redact(found.properties).items()):
        print(f"  {name} = {value}")
    print("looked in: " + ", ".join(found.looked_in))


if __name__ == "__main__":
    sys.exit(main())
