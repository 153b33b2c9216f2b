"""Frames where PyArrow, pandas or everything is missing: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run(code: str) -> str:
    """Run in a process of its own; what it printed and warned of."""
    command = [sys.executable, "-W", "always", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_to_pandas_without_pyarrow() -> None:
    out = run("""
        import sys
        sys.modules["pyarrow"] = None
        import decimal
        import numpy as np, polars as pl
        from headrace.dataframe import MetaflowDataFrame
        frame = MetaflowDataFrame.from_polars(pl.DataFrame({
            "n": [1, 2], "x": [1.5, None], "s": ["a", None], "i": [1, None], "b": [True, False],
            "d": pl.Series([decimal.Decimal("1.50"), None], dtype=pl.Decimal(10, 2)), "l": [[1], [2, 3]],
        }))
        made = frame.to_pandas()
        frame.to_pandas()
        print([str(dtype) for dtype in made.dtypes])
        print(made["d"].tolist(), made["l"].tolist(), made["s"].str.upper().tolist()[0])
        print(np.shares_memory(made["n"].to_numpy(), frame["n"].to_numpy()))
        print(frame.to_pandas(categories=["s"])["s"].cat.categories.tolist())
        for wanted in (frame.to_arrow, lambda: frame.to_pandas(dtype_backend="pyarrow")):
            try:
                wanted()
            except Exception as error:
                print(type(error).__name__, error)
    """)
    assert out.count("without pyarrow, to_pandas() makes Python objects") == 1
    assert "['int64', 'float64', 'str', 'object', 'bool', 'object', 'object']" in out
    assert "[Decimal('1.50'), None] [[1], [2, 3]] A\nTrue\n['a']" in out
    assert "ConfigurationError to_arrow() needs pyarrow" in out
    assert "ConfigurationError to_pandas(dtype_backend='pyarrow') needs pyarrow" in out
    assert out.count("pip install pyarrow") == 3


def test_from_pandas_without_pyarrow() -> None:
    out = run("""
        import sys
        sys.modules["pyarrow"] = None
        import pandas as pd
        from headrace.dataframe import MetaflowDataFrame
        moments = pd.to_datetime(["2026-01-01", None])
        source = pd.DataFrame({
            "n": [1, 2], "x": [1.5, None], "s": ["a", None], "b": [True, False],
            "t": moments, "z": moments.tz_localize("Europe/Berlin"),
            "i": pd.array([1, None], dtype="Int64"), "o": pd.array([True, None], dtype="boolean"),
            "c": pd.Categorical(["x", "y"]),
        }, index=[5, 6])
        frame = MetaflowDataFrame.from_pandas(source)
        print([column.type for column in frame.columns])
        for row in frame:
            print([str(value) for value in row])
        try:
            MetaflowDataFrame.from_pandas(pd.DataFrame({"mixed": [1, "a"]}))
        except Exception as error:
            print(type(error).__name__, error)
    """)
    types = "'int64', 'float64', 'string', 'bool', 'timestamp[us]', 'timestamp[us, UTC]', 'int64', 'bool', 'string'"
    assert f"[{types}]" in out
    assert "'2026-01-01 00:00:00', '2025-12-31 23:00:00+00:00', '1', 'True', 'x']" in out
    assert "['2', 'nan', 'None', 'False', 'None', 'None', 'None', 'None', 'y']" in out
    assert "InvalidArgument column 'mixed': objects of int, str" in out


def test_no_library_at_all() -> None:
    out = run("""
        import sys
        for name in ("pyarrow", "pandas", "numpy", "polars", "torch"):
            sys.modules[name] = None
        from headrace import _engine
        from headrace.dataframe import MetaflowDataFrame
        text = _engine.Column.from_values("s", "u", ["a", None])
        frame = MetaflowDataFrame(_engine.Frame.from_columns([text]))
        print(frame, list(frame), frame.take([True, False]).num_rows, frame["s"], frame._repr_html_())
        wanted = [frame.to_pandas, frame.to_polars, frame.to_arrow, frame.to_torch_tensors, frame["s"].to_numpy]
        for give in wanted:
            try:
                give()
            except Exception as error:
                print(type(error).__name__, error)
    """)
    assert "[('a',), (None,)] 1" in out
    for library in ("pandas", "polars", "pyarrow", "torch", "numpy"):
        assert f"needs {library}" in out
        assert f"pip install {library}" in out


def test_importing_frames_imports_no_library() -> None:
    out = run("""
        import sys
        import headrace.column, headrace.dataframe, headrace.progress
        print([name for name in ("numpy", "pandas", "pyarrow", "polars", "torch") if name in sys.modules])
    """)
    assert out.strip() == "[]"
