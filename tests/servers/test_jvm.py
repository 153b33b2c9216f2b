"""A machine without a JDK 17 is told apart, says what it has instead, and is a failure only where that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import jvm


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing of Java is found but what a test puts into this folder."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(jvm, "SYSTEM_JDKS", tmp_path / "jvm")
    return tmp_path / "jvm"


def jdk(home: Path, version: str) -> Path:
    (home / "bin").mkdir(parents=True)
    compiler = home / "bin" / "javac"
    compiler.write_text(f"#!/bin/sh\necho 'javac {version}'\n")
    compiler.chmod(0o755)
    return home


def test_a_machine_without_java_says_so(bare: Path) -> None:
    with pytest.raises(jvm.Unavailable, match=r"no JDK found.*apt-get install openjdk-17"):
        jvm.java_home()


def test_other_versions_are_named(bare: Path) -> None:
    jdk(bare / "old", "11.0.2")
    with pytest.raises(jvm.Unavailable, match=r"found 11\.0\.2 in .*/old"):
        jvm.java_home()


def test_java_home_comes_first(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = jdk(bare / "found", "17.0.1")
    assert jvm.java_home() == found
    monkeypatch.setenv("JAVA_HOME", str(jdk(tmp_path / "mine", "17.0.15")))
    assert jvm.java_home() == tmp_path / "mine"
    monkeypatch.setenv("JAVA_HOME", str(jdk(tmp_path / "newer", "25")))
    assert jvm.java_home() == found


def test_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("HEADRACE_INTEROP", raising=False)
    assert not jvm.required()
    monkeypatch.setenv("HEADRACE_INTEROP", "require")
    assert jvm.required()
    monkeypatch.setenv("HEADRACE_INTEROP", "")
    monkeypatch.setenv("CI", "true")
    assert jvm.required()


def test_every_jar_has_its_sum() -> None:
    known = jvm.sums()
    assert {each.split("/")[0] for each in known} == set(jvm.GROUPS)
    assert all(len(each) == 64 for each in known.values())
