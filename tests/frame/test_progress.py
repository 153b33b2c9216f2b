"""The bar: on a terminal, for work over a second; silent otherwise."""

from __future__ import annotations

import io

import pytest
from headrace import progress


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_who_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(done: int, total: int) -> None:
        raise AssertionError

    assert progress.resolve(False) is None
    assert progress.resolve(tell) is tell
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert progress.resolve(None) is None
    assert isinstance(progress.resolve(True), progress.Bar)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert isinstance(progress.resolve(None), progress.Bar)
    monkeypatch.setattr("sys.stderr", None)
    assert progress.resolve(None) is None
    assert progress.resolve(True) is None


def test_short_work_is_silent() -> None:
    stream, clock = io.StringIO(), Clock()
    bar = progress.Bar(stream, "loading", clock)
    bar(1, 10)
    clock.now = 0.9
    bar(9, 10)
    clock.now = 1.2
    bar(10, 10)
    assert stream.getvalue() == ""


def test_long_work_draws_one_line_and_ends_it() -> None:
    stream, clock = io.StringIO(), Clock()
    bar = progress.Bar(stream, "loading", clock)
    for second in range(1, 5):
        clock.now = float(second)
        bar(second * 250 << 20, 1000 << 20)
    drawn = stream.getvalue()
    assert drawn.count("\n") == 1
    assert drawn.endswith("\n")
    assert "250.0 MiB of 1000.0 MiB, 262 MB/s" in drawn
    assert "[############            ]" in drawn


def test_a_bar_is_not_redrawn_at_every_call() -> None:
    stream, clock = io.StringIO(), Clock()
    bar = progress.Bar(stream, "loading", clock)
    for tick in range(100):
        clock.now = 1.0 + tick / 100
        bar(tick, 1000)
    assert 5 <= stream.getvalue().count("\r") <= 11


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 << 10, "1.5 MiB"),
        (1 << 30, "1.0 GiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_bytes_as_text(count: int, text: str) -> None:
    assert progress.bytes_as_text(count) == text
