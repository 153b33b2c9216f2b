"""obstore's answers: whole objects at once, from one event loop or from threads; the faster counts.

It can also fetch ranges of one object at once, but then hands over pieces, which a user would have to join.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..setup import Setup


def _store(setup: Setup) -> tuple[Any, list[str]]:
    from obstore.store import S3Store

    bucket = setup.objects[0].removeprefix("s3://").partition("/")[0]
    keys: dict[str, Any] = {"skip_signature": True}
    if setup.signed:
        keys = {"access_key_id": setup.access_key, "secret_access_key": setup.secret_key}
    client: dict[str, Any] = {"allow_http": True}
    if setup.authority:
        client = {"root_certificate": Path(setup.authority).read_bytes()}
    store = S3Store(bucket, endpoint=setup.object_endpoint, region=setup.region, client_options=client, **keys)
    return store, [each.removeprefix(f"s3://{bucket}/") for each in setup.objects]


def objects(setup: Setup) -> Callable[[], Any]:
    import asyncio

    store, names = _store(setup)

    async def read(name: str) -> Any:
        return await (await store.get_async(name)).bytes_async()

    async def read_all() -> Any:
        return await asyncio.gather(*map(read, names))

    def job() -> Any:
        # Not asyncio.run: on its way out it makes the repr of the result, byte for byte (30 s for 192 MiB; CPython's
        # signal module puts the old handler, a partial that holds the task, into the text of a ValueError).
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(read_all())
        finally:
            loop.close()

    return job


def objects_threads(setup: Setup) -> Callable[[], Any]:
    store, names = _store(setup)

    def job() -> Any:
        with ThreadPoolExecutor(len(names)) as threads:
            return list(threads.map(lambda name: store.get(name).bytes(), names))

    return job
