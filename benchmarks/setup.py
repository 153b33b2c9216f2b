"""What a job needs to know about the data, as one value that goes to its process as JSON. Knows no contender."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

LIST_LENGTH = 768  # floats in each row of the dataset `lists`


@dataclass(frozen=True)
class Setup:
    """Where the data of one question is, and what is wanted of it.

    Attributes
    ----------
    catalog : properties of the REST catalog, with its storage; PyIceberg's names.
    rest_uri, endpoint, access_key, secret_key, region : the same as parts, for contenders with names of their own.
    table : the table's name in that catalog; ``files`` are its data files.
    local_catalog : properties of a SQL catalog on local disk; it knows the same name; ``local_files`` as above.
    key : the column whose sum proves that the rows are there.
    columns : what is wanted, empty for all; ``filtered`` : only what `filters` keeps.
    by_month : a table that is written is partitioned so.
    hive_uri : the Hive Metastore that knows the table; ``hive_root`` is its folder, and ``<table>_iceberg`` the same
        files in the catalog. Empty where the question has none.
    objects : locations of plain objects; ``object_endpoint`` serves them, unsigned unless it is ``endpoint``;
        ``authority`` is the file with the certificate to trust, empty without TLS.
    """

    catalog: dict[str, str]
    rest_uri: str
    endpoint: str
    access_key: str
    secret_key: str
    region: str
    local_catalog: dict[str, str]
    table: str = ""
    files: tuple[str, ...] = ()
    local_files: tuple[str, ...] = ()
    key: str = ""
    columns: tuple[str, ...] = ()
    filtered: bool = False
    by_month: bool = False
    hive_uri: str = ""
    hive_root: str = ""
    objects: tuple[str, ...] = ()
    object_endpoint: str = ""
    authority: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        given: dict[str, Any] = json.loads(text)
        values: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in given.items()}
        return cls(**values)

    @property
    def signed(self) -> bool:
        """Whether the objects' server wants signatures."""
        return self.object_endpoint == self.endpoint
