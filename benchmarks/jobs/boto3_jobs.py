"""boto3's answers: whole objects, each in a thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..setup import Setup


def objects(setup: Setup) -> Callable[[], Any]:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    keys = {"aws_access_key_id": setup.access_key, "aws_secret_access_key": setup.secret_key} if setup.signed else {}
    options: dict[str, Any] = {} if setup.signed else {"signature_version": UNSIGNED}
    config = Config(max_pool_connections=16, s3={"addressing_style": "path"}, **options)
    client = boto3.client(
        "s3",
        endpoint_url=setup.object_endpoint,
        region_name=setup.region,
        verify=setup.authority or None,
        config=config,
        **keys,
    )

    def read(location: str) -> Any:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        return client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def job() -> Any:
        with ThreadPoolExecutor(len(setup.objects)) as threads:
            return list(threads.map(read, setup.objects))

    return job
