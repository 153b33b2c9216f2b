"""What headrace may ask about the flow that it runs in: who commits, Metaflow's settings of S3, limits, where it runs.

headrace looks for this module by its name, once Metaflow is imported (`headrace/surroundings.py` says what it asks).
Must not import headrace, nor Metaflow at the top: both may be on their way. Neighbours: `headrace_toplevel` imports it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

DEFAULT_MAX_SPLITS = 100
_CLIENT_PARAMETERS = {
    "endpoint_url": "s3.endpoint",
    "region_name": "s3.region",
    "aws_access_key_id": "s3.access-key-id",
    "aws_secret_access_key": "s3.secret-access-key",
    "aws_session_token": "s3.session-token",
}
"""boto3's client parameters, as METAFLOW_DATATOOLS_CLIENT_PARAMS has them, under headrace's names."""
_ANCESTORS = 6
"""Processes between a task and the runtime that started it, at most: conda and bash may be there."""


def on_import() -> None:
    """Make headrace's errors Metaflow's too, where headrace came first; else it does that itself."""
    errors = sys.modules.get("headrace.errors")
    adopt = getattr(errors, "adopt", None)  # another version, which is told when it is used, may have none
    if adopt is not None:
        from metaflow.exception import MetaflowException

        adopt(MetaflowException)


def lineage() -> dict[str, str]:
    """Who commits: members of a snapshot's summary; none outside of a task."""
    from metaflow.metaflow_current import current

    if not current.is_running_flow or current.task_id is None:
        return {}
    known = {
        "metaflow.flow": current.flow_name,
        "metaflow.run-id": current.run_id,
        "metaflow.step": current.step_name,
        "metaflow.task-id": current.task_id,
        "metaflow.attempt": current.retry_count,
        "metaflow.origin-run-id": current.origin_run_id,
        "metaflow.user": current.username,
    }
    return {name: str(value) for name, value in known.items() if value not in (None, "")}


def storage() -> dict[str, str]:
    """Storage properties that stand in where a catalog has none: Metaflow's own endpoint and client parameters."""
    from metaflow import metaflow_config as settings

    parameters = dict(getattr(settings, "DATATOOLS_CLIENT_PARAMS", None) or {})
    found = {ours: str(parameters[theirs]) for theirs, ours in _CLIENT_PARAMETERS.items() if parameters.get(theirs)}
    addressing = _member(_member(parameters.get("config"), "s3"), "addressing_style")
    if addressing == "virtual":
        found["s3.force-virtual-addressing"] = "true"
    return found


def keys(role: str | None) -> Callable[[], Mapping[str, str]] | None:
    """What gives AWS keys the way Metaflow gets them, each time it is called; None where that is the usual chain.

    Parameters
    ----------
    role : str or None
        The role to assume.
    """
    from metaflow import metaflow_config as settings

    special = (
        role,
        getattr(settings, "DEFAULT_AWS_CLIENT_PROVIDER", "boto3") != "boto3",
        getattr(settings, "DATATOOLS_SESSION_VARS", None),
        getattr(settings, "AWS_SANDBOX_ENABLED", False),
    )
    if not any(special):
        return None
    client: list[Any] = []

    def current() -> Mapping[str, str]:
        from metaflow.plugins.datatools.s3.s3util import get_s3_client

        if not client:
            client.append(get_s3_client(s3_role_arn=role)[0])
        # boto3 has no public way from a client to its credentials
        credentials = client[0]._request_signer._credentials
        frozen = credentials.get_frozen_credentials()
        named = {
            "s3.access-key-id": frozen.access_key,
            "s3.secret-access-key": frozen.secret_key,
            "s3.session-token": frozen.token,
        }
        expiry = getattr(credentials, "_expiry_time", None)
        if expiry is not None:
            named["s3.session-token-expires-at-ms"] = str(int(expiry.timestamp() * 1000))
        return {name: value for name, value in named.items() if value}

    return current


def max_threads() -> int | None:
    """METAFLOW_S3_WORKER_COUNT: no load or write uses more threads."""
    from metaflow import metaflow_config as settings

    count = getattr(settings, "S3_WORKER_COUNT", None)
    return int(count) if count else None


def unattended() -> str | None:
    """Where the task runs, if that is not the machine of whoever started the flow: no default is good enough there."""
    found = os.environ.get("METAFLOW_RUNTIME_ENVIRONMENT", "local")
    if found != "local":
        return found
    return "aws-batch" if os.environ.get("AWS_BATCH_JOB_ID") else None


def unconfigured_hint() -> str:
    """How a catalog's settings come to a remote task."""
    return (
        'put @fast_data(catalog="prod", type="rest", uri="https://...") on the step, or set HEADRACE_CATALOG and '
        "HEADRACE_CATALOG__PROD__URI ... with @environment; secrets with @secrets"
    )


def split_limit() -> tuple[int, str] | None:
    """(shards that a foreach may have, the flag that changes it); None where nobody counts."""
    from metaflow.metaflow_current import current

    if not current.is_running_flow or unattended() is not None:
        return None
    named = _flag("--max-num-splits") or os.environ.get("METAFLOW_RUN_MAX_NUM_SPLITS")
    limit = int(named) if named and named.isdigit() else DEFAULT_MAX_SPLITS
    return limit, "--max-num-splits"


def _flag(name: str) -> str | None:
    """The value of a flag in the command line of the runtime that started this task, where the system shows it."""
    for command in _command_lines():
        for at, word in enumerate(command):
            if word == name and at + 1 < len(command):
                return command[at + 1]
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
    return None


def _command_lines() -> Iterator[list[str]]:
    """The command lines of this process and those that started it."""
    pid = os.getpid()
    try:
        for _ in range(_ANCESTORS):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                yield [each.decode(errors="replace") for each in file.read().split(b"\0")]
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
            if pid <= 1:
                return
    except (OSError, ValueError, IndexError):
        return


def _member(value: Any, name: str) -> Any:
    """A member of a dict, or of botocore's Config."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
