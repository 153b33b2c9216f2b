"""Metaflow's answers: `metaflow.S3`, whose worker processes write to local files that are then read.

Its processes' CPU counts, since they end within the job; their memory does not (peak memory is the one process's).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

from ..setup import Setup


def objects(setup: Setup) -> Callable[[], Any]:
    os.environ |= {
        "METAFLOW_S3_ENDPOINT_URL": setup.object_endpoint,
        "AWS_ACCESS_KEY_ID": setup.access_key,
        "AWS_SECRET_ACCESS_KEY": setup.secret_key,
        "AWS_DEFAULT_REGION": setup.region,
    }
    from metaflow import S3  # type: ignore[attr-defined,unused-ignore]

    def job() -> Any:
        with tempfile.TemporaryDirectory() as folder, S3(tmproot=folder) as s3:
            return [each.blob for each in s3.get_many(list(setup.objects))]

    return job
