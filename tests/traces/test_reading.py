"""Traces are read whole or refused with words, whatever is in the file."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import RoutingTrace, arrays, reading
from janus_sim.workload.trace import choices

FILES = ("trace_mb0_iter0001-2491.npz", "trace_mb0_iter2501-5001.npz")


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
    return path


def refused(path: Path | list[Path], **options: Any) -> str:
    with pytest.raises(InputError) as error:
        RoutingTrace.load(path, where="x.yaml: routing", **options)
    return str(error.value)


def test_counts_of_every_axis(tmp_path: Path) -> None:
    counts = np.arange(2 * 1 * 3 * 2 * 4).reshape(2, 1, 3, 2, 4)
    trace = RoutingTrace.load(saved(tmp_path / "t.npz", counts=counts))
    assert (trace.steps, trace.micro_batches, trace.ranks, trace.experts) == (2, 1, 2, (4, 4, 4))
    assert (trace.counts == counts).all()
    assert trace.at(1, 0, 2).tolist() == counts[1, 0, 2].tolist()
    assert trace.first(1).steps == 1
    with pytest.raises(ValueError, match="read-only"):
        trace.at(0, 0, 0)[0, 0] = 1


def test_layers_may_differ_in_experts(tmp_path: Path) -> None:
    two, four = np.ones((1, 1, 2, 2), np.uint8), np.ones((1, 1, 2, 4), np.uint8)
    assert RoutingTrace.load(saved(tmp_path / "t.npz", counts_0=two, counts_1=four)).experts == (2, 4)
    assert "without a gap" in refused(saved(tmp_path / "u.npz", counts_0=two, counts_2=four))
    assert "differ in experts only" in refused(
        saved(tmp_path / "v.npz", counts_0=two, counts_1=four[:, :, :1])
    )


def test_files_are_joined_by_iteration(tmp_path: Path) -> None:
    late = saved(tmp_path / "late.npz", counts=np.full((2, 1, 1, 2), 9), iteration=[30, 40])
    early = saved(tmp_path / "early.npz", counts=np.full((2, 1, 1, 2), 1), iteration=[10, 20])
    trace = RoutingTrace.load([late, early])
    assert trace.iterations == (10, 20, 30, 40)
    assert [trace.at(step, 0, 0)[0, 0] for step in range(4)] == [1, 1, 9, 9]
    assert RoutingTrace.load([late, early], spread=3).iterations == (10, 30, 40)
    assert RoutingTrace.load([late, early], iterations=[40, 10]).iterations == (40, 10)
    assert RoutingTrace.load([late, early], spread=1).iterations == (10,)
    assert "no iteration 31; the trace has 4 from 10 to 40, 30 among them" in refused(
        [late, early], iterations=[31]
    )
    assert "write 1 to 4" in refused([late, early], spread=5)
    assert "write one" in refused([late, early], spread=2, iterations=[10])
    assert "same iteration" in refused([late, late])
    assert "same layers" in refused(
        [late, saved(tmp_path / "x.npz", counts=np.ones((1, 2, 1, 2), int), iteration=[1])]
    )


def test_all_files_that_are_wrong_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "b.npz").write_bytes(b"PK but not really")
    text = refused([tmp_path / "a.npz", tmp_path / "b.npz", tmp_path / "c.txt"])
    assert text.count("routing.trace") == 3
    assert "no such file" in text
    assert "not a readable .npz" in text


def test_csv_in_any_order_of_columns_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("expert,step,micro_batch,layer,rank,count\n1,20,0,0,1,5\n0,10,0,0,0,3\n2,10,0,1,0,7\n")
    trace = RoutingTrace.load(path)
    assert trace.iterations == (10, 20)
    assert trace.experts == (2, 3)
    assert trace.at(0, 0, 0).tolist() == [[3, 0], [0, 0]]
    assert trace.at(1, 0, 0).tolist() == [[0, 0], [0, 5]]
    assert trace.at(0, 0, 1).tolist() == [[0, 0, 7], [0, 0, 0]]


HEADER = "step,micro_batch,layer,rank,expert,count\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "write step, micro_batch"),
        ("step,rank\n1,2\n", "write step, micro_batch"),
        (HEADER, "has no rows"),
        (HEADER + "0,0,0,0,0,1.5\n", "whole number"),
        (HEADER + "0,0,0,0,0,nan\n", "whole number"),
        (HEADER + "0,0,0,0,0\n", "cells in a row"),
        (HEADER + "0,0,0,0,0,1\n0,0,0,0,1\n", "line 3: has 5 cells in a row"),
        (HEADER + "0,0,0,0,0,-1\n", "below 0"),
        (HEADER + "0,0,0,0,0,1\n0,0,0,0,0,1\n", "twice"),
        (HEADER + "0,0,1,0,0,1\n", "no rows of layer 0"),
        (HEADER + "0,0,0,0,99999999999999,1\n", "more cells"),
        (HEADER + "0,0,0,0,0,99999999999999999999999\n", "whole number"),
        (HEADER + "0,0,0,0,0,9999999999999999\n", "2^40"),
    ],
)
def test_csv_that_is_no_trace(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert told in refused(tmp_path / "t.csv")


def test_csv_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    """With the mark of its byte order, quoted names and the ends of lines of another system."""
    quoted = ",".join(f'"{name}"' for name in HEADER.strip().split(","))
    for head in (HEADER.strip(), quoted):
        (tmp_path / "t.csv").write_bytes(f"\ufeff{head}\r\n0,0,0,0,0,7\r\n".encode())
        assert RoutingTrace.load(tmp_path / "t.csv").at(0, 0, 0).tolist() == [[7]]


def test_csv_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(bytes(range(256)) * 40)
    assert "is not text" in refused(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"other": np.ones(3)}, "holds no counts"),
        ({"counts": np.ones((1, 1, 1, 1, 1))}, "float64"),
        ({"counts": np.ones((1, 1, 1, 1), int)}, "4 axes"),
        ({"counts": np.full((1, 1, 1, 1, 1), -1)}, "below 0"),
        ({"counts": np.full((1, 1, 1, 1, 1), 2**50)}, "2^40"),
        ({"counts": np.empty((0, 1, 1, 1, 1), int)}, "does not fit"),
        ({"counts": np.ones((1, 1, 1, 1, 1), int), "iteration": np.arange(3)}, "one number for each of 1"),
        ({"counts": np.ones((2, 1, 1, 1, 1), int), "iteration": np.array([5, 5])}, "twice"),
    ],
)
def test_npz_that_is_no_trace(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    assert told in refused(saved(tmp_path / "t.npz", **arrays))


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    counts = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "t.npz", counts=counts, allow_pickle=True)
    assert "holds object" in refused(tmp_path / "t.npz")


def member(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x09\x00",
        member(b"{'descr': '<i8', 'fortran_order': False, 'shape': (9999999, 9999, 99, 9, 9)}\n"),
        member(b"{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1, 1, 1, -1)}\n"),
        member(b"__import__('os').system('true')\n"),
        member(b"(" * 9000),
        member(b"{'descr': '<i8', 'fortran_order': False, 'shape': (True, 1, 1, 1, 1)}\n" + b"\0" * 8),
    ],
)
def test_headers_that_lie(tmp_path: Path, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("counts.npy", content)
    assert "t.npz" in refused(tmp_path / "t.npz")


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "t.npz", counts=np.ones((1, 1, 1, 10, 100), np.uint8))
    monkeypatch.setattr(arrays, "LARGEST_TRACE", 4000)
    assert "does not fit" in refused(path)
    monkeypatch.setattr(arrays, "LARGEST_TRACE", 500)
    assert "more than 500" in refused(path)
    monkeypatch.setattr(reading, "LARGEST_FILE", 10)
    assert "at most 10" in refused(path)


def valid() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, counts=np.ones((1, 1, 1, 2, 2), np.uint8), iteration=np.array([3]))
    return stream.getvalue()


@given(
    st.lists(st.tuples(st.integers(0, len(valid()) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, 600),
)
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(valid())
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / "t.npz"
    path.write_bytes(bytes(content[: len(content) - max(0, cut - 300)]))
    with contextlib.suppress(InputError):
        assert RoutingTrace.load(path).ranks >= 1


def test_a_trace_is_found_under_the_root_of_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JANUS_SIM_DATA", raising=False)
    saved(tmp_path / "t.npz", counts=np.ones((1, 1, 1, 1, 1), int))
    assert "$JANUS_SIM_DATA" in refused(Path("t.npz"))
    assert RoutingTrace.load("t.npz", beside=tmp_path).steps == 1
    monkeypatch.setenv("JANUS_SIM_DATA", str(tmp_path))
    assert RoutingTrace.load("t.npz").steps == 1


def test_imbalance_over_experts_and_ranks() -> None:
    trace = RoutingTrace.of([[[[[4, 0, 0, 0], [4, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 1, 1]]]]])
    assert trace.imbalance().tolist() == [[[4.0, 1.0]]]
    assert trace.imbalance("rank").tolist() == [[[2.0, 1.0]]]
    assert RoutingTrace.of(np.zeros((1, 1, 1, 2, 2))).imbalance().item() == 1.0


def test_the_smartmoe_trace(data: Path) -> None:
    folder = data / "routing" / "smartmoe"
    trace = RoutingTrace.load([folder / name for name in FILES], spread=12)
    assert (trace.steps, trace.micro_batches, trace.ranks, trace.experts) == (12, 1, 16, (32,) * 24)
    assert (trace.iterations[0], trace.iterations[-1]) == (1, 5001)
    assert all((layer.sum(axis=-1) == 4096).all() for layer in trace.layers)
    straight = np.load(folder / FILES[1], allow_pickle=False)
    rows = straight["counts"][-1].astype(np.int64).sum(axis=0)
    assert trace.imbalance()[-1, 0].tolist() == (rows.max(axis=1) / rows.mean(axis=1)).tolist()


@given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 5), st.data())
def test_choices_agree_with_counts(top_k: int, tokens: int, extra: int, draw: st.DataObject) -> None:
    experts = top_k + extra
    picks = [draw.draw(st.permutations(range(experts)))[:top_k] for _ in range(tokens)]
    counts = np.bincount(np.ravel(picks), minlength=experts)
    table = choices(counts, top_k, np.random.default_rng(1))
    assert table.shape == (tokens, top_k)
    assert (np.bincount(table.ravel(), minlength=experts) == counts).all()
    assert all(len(set(row)) == top_k for row in table.tolist())


@pytest.mark.parametrize("counts", [[3, 0, 1], [1, 1, 1], [-1, 3, 2]])
def test_counts_that_no_gate_makes(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="2 distinct experts"):
        choices(counts, 2, np.random.default_rng(1))
