"""Writes over TLS: to a server whose authority the user named, and to one that nobody vouches for."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import headrace
import pyarrow
import pytest

from tests.commit.reachable import stray
from tests.table.warehouse import Warehouse
from tests.writing.proxy import Proxy

ROOT = Path(__file__).parents[2]
ROWS = 2_400_000
"""Of values that do not compress: an upload in two parts."""
WRITER = f"""
import json, sys
import headrace, numpy, pyarrow
from headrace.errors import HeadraceError
table = headrace.Table(sys.argv[2], catalog=headrace.load_catalog("tls", **json.loads(sys.argv[1])))
try:
    table.append(pyarrow.table({{"v": numpy.random.default_rng(1).integers(0, 2**62, {ROWS})}}))
    table.append(pyarrow.table({{"v": [1, 2, 3]}}))
    table.delete("v = 2")
    print("written")
except HeadraceError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority of its own (ca.pem) and a certificate that it signed for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (
        ["req", "-x509", *key, "-days", "30", "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.pem"],
        ["req", *key, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"],
        [
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            "names",
            "-out",
            "server.pem",
        ],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def proxy(warehouse: Warehouse, authority: Path) -> Iterator[Proxy]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority / "server.pem", authority / "server.key")
    with Proxy(warehouse.server.endpoint, tls) as proxy:
        yield proxy


def write(warehouse: Warehouse, proxy: Proxy, name: str, **environment: str) -> str:
    """What a writer says that trusts nothing but what its environment names."""
    properties = json.dumps(warehouse.server.catalog_properties | {"s3.endpoint": proxy.endpoint})
    kept = {name: value for name, value in os.environ.items() if name not in ("AWS_CA_BUNDLE", "SSL_CERT_FILE")}
    done = subprocess.run(
        [sys.executable, "-c", WRITER, properties, name],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_table_is_written_over_tls(warehouse: Warehouse, authority: Path, proxy: Proxy, variable: str) -> None:
    name = warehouse.fresh_name()
    table = headrace.Table.create(name, {"v": "long"}, catalog=warehouse.ours)
    assert write(warehouse, proxy, name, **{variable: str(authority / "ca.pem")}) == "written\n"
    assert any("partNumber=2" in path for _, path in proxy.seen)
    found = pyarrow.table(warehouse.theirs.load_table(name).scan().to_arrow())
    assert found.num_rows == ROWS + 2
    assert stray(table) == set()


def test_a_server_that_nobody_vouches_for_gets_nothing(warehouse: Warehouse, proxy: Proxy) -> None:
    name = warehouse.fresh_name()
    table = headrace.Table.create(name, {"v": "long"}, catalog=warehouse.ours)
    said = write(warehouse, proxy, name)
    assert "certificate" in said
    assert "AWS_CA_BUNDLE" in said
    assert proxy.seen == []
    assert table.refresh().snapshot is None
