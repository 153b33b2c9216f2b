"""What the scripted S3 server can do instead of answering well: one small value per fault.

Values only; server.py carries them out. A script is a list of them: each request that matches takes the next one,
`OK` answers well, and after the script's end every answer is good.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Base of all faults."""


@dataclass(frozen=True)
class Ok(Fault):
    """A good answer, as a step of a script."""


@dataclass(frozen=True)
class Status(Fault):
    """An error answer: 503 SlowDown, 500 InternalError, 403 AccessDenied, 404 NoSuchKey, 429 ..."""

    status: int
    code: str
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Reset(Fault):
    """Send a good head and the first ``after_bytes`` of the body, then reset the connection (RST)."""

    after_bytes: int


@dataclass(frozen=True)
class ShortBody(Fault):
    """Send a good head and the first ``after_bytes`` of the body, then close the connection in order (FIN)."""

    after_bytes: int


@dataclass(frozen=True)
class LongLength(Fault):
    """Announce ``extra_bytes`` more than there are, send what there is, then close in order."""

    extra_bytes: int


@dataclass(frozen=True)
class WrongRange(Fault):
    """Send another range than asked for: Content-Range and bytes are shifted by ``shift_bytes``, equally long."""

    shift_bytes: int


@dataclass(frozen=True)
class LyingRange(Fault):
    """Send the bytes asked for under a Content-Range that is shifted by ``shift_bytes``."""

    shift_bytes: int


@dataclass(frozen=True)
class MissingRange(Fault):
    """Send 206 and the bytes asked for without any Content-Range."""


@dataclass(frozen=True)
class WholeObject(Fault):
    """Ignore the range: 200 with the whole object."""


@dataclass(frozen=True)
class Replace(Fault):
    """Put another body in the object's place, for good, and then answer: 412 where If-Match names the old ETag."""

    body: bytes


@dataclass(frozen=True)
class OtherETag(Fault):
    """A good answer under another ETag, If-Match ignored, as by a store that does not know preconditions."""

    etag: str = '"00000000000000000000000000000000"'


@dataclass(frozen=True)
class Stall(Fault):
    """Send a good head and ``after_bytes`` of the body, then nothing, with the connection open, until the end.

    ``after_bytes=None`` sends not even the head.
    """

    after_bytes: int | None


@dataclass(frozen=True)
class Drip(Fault):
    """A good answer in pieces of ``piece_bytes``, ``pause_s`` apart: slow, but never idle for longer than that."""

    piece_bytes: int
    pause_s: float


@dataclass(frozen=True)
class Garbage(Fault):
    """Bytes that are not HTTP."""


OK = Ok()
SLOW_DOWN = Status(503, "SlowDown")
INTERNAL_ERROR = Status(500, "InternalError")
ACCESS_DENIED = Status(403, "AccessDenied")
NO_SUCH_KEY = Status(404, "NoSuchKey")
