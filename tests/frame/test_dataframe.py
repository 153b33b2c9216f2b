"""What a frame is without any other library: shape, rows, selection, stacking, pickles, text."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pyarrow as pa
import pytest
from headrace.dataframe import PICKLE_LIMIT_BYTES, MetaflowDataFrame
from headrace.errors import ColumnNotFound, HeadraceError, InvalidArgument, MetaflowDataFrameException


def numbers(rows: int = 10) -> MetaflowDataFrame:
    return MetaflowDataFrame.from_arrow(
        pa.table({"n": pa.array(range(rows), pa.int64()), "s": pa.array([f"row {n}" for n in range(rows)])})
    )


def test_shape(frame: MetaflowDataFrame, table: pa.Table) -> None:
    assert frame.schema == table.column_names
    assert [column.name for column in frame.columns] == table.column_names
    assert (frame.num_rows, len(frame)) == (3, 3)
    assert frame.metrics == {}


def test_rows_are_tuples_of_what_was_put_in(frame: MetaflowDataFrame, table: pa.Table) -> None:
    expected = [column.to_pylist() for column in table.drop_columns(["map", "nanoseconds"]).columns]
    got = list(frame.drop(["map", "nanoseconds"]))
    assert got == list(zip(*expected, strict=True))
    assert list(frame.rows(2)) == list(frame)[2:]


def test_rows_over_many_chunks_and_none() -> None:
    assert [n for n, _ in numbers(10_000).rows(4_090)] == list(range(4_090, 10_000))
    assert list(numbers(0)) == []
    assert list(numbers(3)[[]]) == [(), (), ()]


def test_columns_by_name(frame: MetaflowDataFrame) -> None:
    assert frame["int64"].to_pylist() == [-(2**63), None, 2**63 - 1]
    assert frame[["string", "bool"]].schema == ["string", "bool"]
    with pytest.raises(ColumnNotFound, match="did you mean 'string'"):
        frame["strng"]
    with pytest.raises(ColumnNotFound, match="did you mean 'bool'"):
        frame[["int64", "boool"]]


def test_rename_and_drop() -> None:
    frame = numbers()
    assert frame.rename({"n": "id"}).schema == ["id", "s"]
    assert frame.rename(["a", "b"]).schema == ["a", "b"]
    assert frame.schema == ["n", "s"]
    assert frame.drop("n").schema == ["s"]
    assert frame.drop(["n", "s"]).num_rows == 10
    with pytest.raises(MetaflowDataFrameException, match="1 names for 2 columns"):
        frame.rename(["a"])
    with pytest.raises(ColumnNotFound):
        frame.rename({"nn": "id"})
    with pytest.raises(ColumnNotFound):
        frame.drop("nn")


@pytest.mark.parametrize(
    "indicator",
    [
        [True, False, True, False],
        [1, 0, -7, 0],
        np.array([True, False, True, False]),
        np.array([2, 0, 1, 0], dtype="int16"),
        pa.array([True, False, True, False]),
        pa.chunked_array([pa.array([1, 0]), pa.array([1, 0])]),
    ],
)
def test_take_keeps_the_marked_rows(indicator: object) -> None:
    assert list(numbers(4).take(indicator)) == [(0, "row 0"), (2, "row 2")]


def test_take_by_a_column_and_what_a_null_means() -> None:
    frame = numbers(3)
    mask = MetaflowDataFrame.from_arrow(pa.table({"m": pa.array([True, None, False])}))["m"]
    with pytest.raises(MetaflowDataFrameException, match="1 nulls"):
        frame.take(mask)
    assert [n for n, _ in frame.take(mask, treat_null_as=True)] == [0, 1]
    assert [n for n, _ in frame.take([True, None, False], treat_null_as=False)] == [0]
    with pytest.raises(InvalidArgument, match="2 values for 3 rows"):
        frame.take([True, False])
    with pytest.raises(InvalidArgument, match="booleans or integers"):
        frame.take(frame["s"])


def test_gather_takes_rows_by_position() -> None:
    frame = numbers(5)
    for positions in ([4, 0, 0], np.array([4, 0, 0]), pa.array([4, 0, 0])):
        assert [n for n, _ in frame.gather(positions)] == [4, 0, 0]
    with pytest.raises(InvalidArgument, match="row 5 of a frame of 5 rows"):
        frame.gather([5])


@pytest.mark.parametrize("positions", [[-1], np.array([-1]), [1.5], ["a"], [None]])
def test_gather_refuses_what_is_no_position(positions: object) -> None:
    with pytest.raises(InvalidArgument):
        numbers(5).gather(positions)


def test_split_and_slice_are_views() -> None:
    frame = numbers(10)
    parts = frame.split(4)
    assert [part.num_rows for part in parts] == [4, 4, 2]
    assert [row for part in parts for row in part] == list(frame)
    assert frame.split() == [frame]
    address = frame["n"].to_numpy().__array_interface__["data"][0]
    assert parts[1]["n"].to_numpy().__array_interface__["data"][0] == address + 4 * 8
    assert frame.slice(8).num_rows == 2
    with pytest.raises(InvalidArgument):
        frame.slice(-1)


def test_stacked_columns_are_contiguous(frame: MetaflowDataFrame) -> None:
    stacked = MetaflowDataFrame.stack([frame, frame.slice(0, 1), frame])
    assert stacked.num_rows == 7
    assert all(column.num_chunks == 1 for column in pa.table(stacked).columns)
    assert list(stacked) == [*frame, next(iter(frame)), *frame]
    with pytest.raises(InvalidArgument):
        MetaflowDataFrame.stack([numbers(), frame])
    with pytest.raises(InvalidArgument):
        MetaflowDataFrame.stack([])


def test_from_columns() -> None:
    frame = numbers(3)
    made = MetaflowDataFrame.from_columns(
        [frame["s"], np.array([1.5, 2.5, 3.5], dtype="float32"), pa.chunked_array([[True], [None, False]])],
        names=["text", "number", "truth"],
    )
    assert list(made) == [("row 0", 1.5, True), ("row 1", 2.5, None), ("row 2", 3.5, False)]
    assert MetaflowDataFrame.from_columns(frame.columns).schema == frame.schema
    with pytest.raises(InvalidArgument, match="has 2 rows, the first one 3"):
        MetaflowDataFrame.from_columns([frame["n"], np.array([1, 2])], names=["a", "b"])
    with pytest.raises(MetaflowDataFrameException, match="share the names 'n'"):
        MetaflowDataFrame.from_columns([frame["n"], frame["n"]])


def test_pickle_keeps_types_and_values(frame: MetaflowDataFrame) -> None:
    back = pickle.loads(pickle.dumps(frame))
    assert pa.table(back).schema == pa.table(frame).schema
    assert list(back) == list(frame)
    assert pickle.loads(pickle.dumps(frame.slice(1, 2)["struct"])).to_pylist() == frame["struct"].to_pylist()[1:]
    assert pickle.loads(pickle.dumps(numbers(0))).num_rows == 0


def test_a_pickle_of_a_slice_holds_the_slice_alone() -> None:
    text = pa.array([f"text that is not inline, {n}" for n in range(100_000)], pa.string_view())
    part = MetaflowDataFrame.from_arrow(pa.table({"s": text})).slice(50_000, 10)
    # The slice shares its pages with the whole, which is what its size says; its pickle must not.
    assert part.size > 1_000_000
    assert len(pickle.dumps(part)) < 8_192


def test_large_frames_are_not_pickled() -> None:
    frame = MetaflowDataFrame.from_columns([np.zeros(PICKLE_LIMIT_BYTES // 8 + 1)], names=["n"])
    with pytest.raises(MetaflowDataFrameException, match="too large to pickle") as raised:
        pickle.dumps(frame)
    assert "Shard" in str(raised.value)


def test_size_counts_shared_pages_once() -> None:
    text = pa.array(["a value that is longer than a view"] * 10_000, pa.string_view())
    once = MetaflowDataFrame.from_arrow(pa.table({"a": text}))
    twice = MetaflowDataFrame.from_arrow(pa.table({"a": text, "b": text}))
    assert once.size >= 10_000 * (16 + 34)
    assert twice.size - once.size == 10_000 * 16


def test_repr_shows_rows_columns_types_and_memory() -> None:
    text = repr(numbers(1000))
    assert text.startswith("MetaflowDataFrame: 1,000 rows x 2 columns, ")
    for shown in ("int64", "string", "row 0", "row 999"):
        assert shown in text
    assert "row 500" not in text
    assert repr(numbers(1)[[]]) == "MetaflowDataFrame: 1 row x 0 columns, 0 B"


def test_repr_of_every_type_and_of_wide_frames(frame: MetaflowDataFrame) -> None:
    assert "more columns: " in repr(frame)
    for column in frame.columns:
        assert column.name in repr(column)
        assert repr(frame[[column.name]]).count("\n") == 5


def test_html_is_escaped() -> None:
    html = MetaflowDataFrame.from_arrow(pa.table({"<b>": ["<script>alert(1)</script>\n"]}))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in html


def test_a_date_beyond_the_calendar_has_a_repr_and_a_typed_error() -> None:
    frame = MetaflowDataFrame.from_arrow(pa.table({"d": pa.array([2**31 - 1], pa.int32()).cast(pa.date32())}))
    assert "date" in repr(frame)
    assert "date" in repr(frame["d"])
    with pytest.raises(InvalidArgument, match="years 1 to 9999"):
        frame["d"].to_pylist()


def test_many_threads_use_one_frame(frame: MetaflowDataFrame) -> None:
    expected = list(frame)
    failures: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(20):
                assert list(frame) == expected
                assert pa.table(frame).num_rows == 3
                assert frame.to_pandas().shape == (3, 25)
                assert frame.take([True, False, True]).num_rows == 2
                assert repr(frame)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_is_not_arrow_is_refused() -> None:
    with pytest.raises(HeadraceError, match="neither __arrow_c_stream__ nor __arrow_c_array__"):
        MetaflowDataFrame.from_arrow([1, 2, 3])
