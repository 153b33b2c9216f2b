"""What a job needs to know about the data, as one value that goes to its process as JSON. Knows no contender."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True)
class Setup:
    """Where the data of one run is.

    Attributes
    ----------
    catalog : properties of the REST catalog, with its storage; PyIceberg's names.
    rest_uri, endpoint, access_key, secret_key, region : the same as parts, for contenders with names of their own.
    table : lineitem in that catalog; ``files`` are its data files.
    many : the table of many files in that catalog.
    local_catalog : properties of a SQL catalog on local disk; ``local_table`` and ``local_files`` as above.
    """

    catalog: dict[str, str]
    rest_uri: str
    endpoint: str
    access_key: str
    secret_key: str
    region: str
    table: str
    files: list[str]
    many: str
    local_catalog: dict[str, str]
    local_table: str
    local_files: list[str]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    @property
    def storage(self) -> dict[str, str]:
        """The ``s3.*`` properties alone."""
        return {name: value for name, value in self.catalog.items() if name.startswith("s3.")}
