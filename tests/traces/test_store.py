"""The neutral form: written whole or not at all, read block by block, refused with words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import Block, RoutingTrace, TraceInfo, counts_of, open_trace, store, write_trace

INFO = TraceInfo(model="tiny", top_k=2, origin="drawn", licence="CC0-1.0")


def drawn(steps: tuple[int, ...] = (10, 20, 30), batches: int = 2, ranks: int = 3) -> Iterator[Block]:
    """Blocks of two layers, of 4 and 6 experts, 5 tokens that choose 2 of them."""
    rng = np.random.default_rng(1)
    for step in steps:
        for batch in range(batches):
            for layer, experts in enumerate((4, 6)):
                order = np.argsort(rng.random((ranks, 5, experts)), axis=2)
                choices = order[:, :, :2].astype(np.int16)
                yield Block(step, batch, layer, counts_of(choices, experts), choices)


def alone(block: Block) -> Block:
    return replace(block, choices=None)


def refused(path: Path, blocks: list[Block], info: TraceInfo = INFO) -> str:
    with pytest.raises(InputError) as error:
        write_trace(path, info, blocks)
    assert list(path.parent.iterdir()) == []
    return str(error.value)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, blocks = tmp_path / "t.parquet", list(drawn())
    info = write_trace(path, INFO, blocks)
    trace = open_trace(path)
    assert trace.info == info
    assert (info.steps, info.micro_batches, info.ranks, info.experts) == ((10, 20, 30), 2, 3, (4, 6))
    assert (info.tokens, info.rows, info.has_choices, info.version) == (5, (10, 10), True, 1)
    for wanted, found in zip(blocks, trace.blocks(), strict=True):
        assert wanted.called() == found.called()
        assert (wanted.counts == found.counts).all()
        assert (np.asarray(wanted.choices) == found.choices).all()
    assert trace.at(2, 1, 1).tolist() == blocks[-1].counts.tolist()
    assert np.array_equal(trace.choices_at(2, 1, 1), blocks[-1].choices)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="read-only"):
        trace.at(0, 0, 0)[0, 0] = 1


def test_counts_alone_have_no_choices(tmp_path: Path) -> None:
    info = write_trace(tmp_path / "t.parquet", INFO, map(alone, drawn()))
    trace = open_trace(tmp_path / "t.parquet")
    assert (info.has_choices, info.tokens, trace.choices_at(0, 0, 0)) == (False, 5, None)
    held = RoutingTrace.load(tmp_path / "t.parquet", spread=2)
    assert held.iterations == (10, 30)
    assert held.at(1, 1, 1).tolist() == list(drawn())[-1].counts.tolist()


def test_the_same_blocks_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_trace(tmp_path / name, INFO, drawn())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_many_row_groups_read_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "GROUP_BYTES", 300)
    blocks = list(drawn())
    write_trace(tmp_path / "t.parquet", INFO, blocks)
    trace = open_trace(tmp_path / "t.parquet")
    assert trace.file.metadata.num_row_groups == 4
    for place in np.random.default_rng(2).permutation(12):
        step, batch, layer = np.unravel_index(place, (3, 2, 2))
        assert trace.at(int(step), int(batch), int(layer)).tolist() == blocks[place].counts.tolist()


def test_a_gap_or_another_shape_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    path, blocks = tmp_path / "t.parquet", [alone(one) for one in drawn()]
    assert "nothing was recorded" in refused(path, [])
    assert "step 10, micro-batch 1, layer 1  does not follow" in refused(path, blocks[:2] + blocks[3:])
    assert "the end  does not follow after step 30, micro-batch 0" in refused(path, blocks[:-2])
    assert "does not follow after step 30" in refused(path, [*blocks, *blocks])
    wide = replace(blocks[4], counts=np.ones((3, 5), dtype=int))
    assert "(3, 4) before" in refused(path, [*blocks[:4], wide])
    mixed = [*drawn()][:2] + blocks[2:]
    assert "all blocks have choices, or none has" in refused(path, mixed)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([[1, -1]], "step 7, micro-batch 0, layer 0, counts  -1 rows of rank 0 for expert 1"),
        ([[1, 2**32]], "write 0 to 4294967295"),
        ([[1.0, 2.0]], "float64"),
        ([1, 2], "shape (2,)"),
        ([[4, 1]], "rank 0 routes 5 rows, 4 of them to one expert; 3 tokens choose 2 distinct experts"),
    ],
)
def test_counts_that_cannot_be(tmp_path: Path, counts: Any, told: str) -> None:
    assert told in refused(tmp_path / "t.parquet", [Block(7, 0, 0, np.array(counts))])


def test_choices_that_cannot_be(tmp_path: Path) -> None:
    path, counts = tmp_path / "t.parquet", np.array([[1, 1]])
    told = refused(path, [Block(7, 0, 0, counts, np.array([[[0, 2]]]))])
    assert "rank 0, token 0, slot 1 chose expert 2; the layer has experts 0 to 1" in told
    assert "chose expert 0 2 times, its counts say 1" in refused(
        path, [Block(7, 0, 0, counts, np.array([[[0, 0]]]))]
    )
    assert "top_k is 2" in refused(path, [Block(7, 0, 0, np.array([[1, 0]]), np.array([[[0]]]))])


def test_an_error_on_the_way_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("old")

    def broken() -> Iterator[Block]:
        yield from list(drawn())[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_trace(path, INFO, broken())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def opened(path: Path) -> str:
    with pytest.raises(InputError) as error:
        list(open_trace(path).blocks())
    return str(error.value)


def test_files_that_are_no_traces(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    assert "no such file" in opened(path)
    path.write_text("step,rank\n")
    assert "is not a whole Parquet file; was it cut off?" in opened(path)
    write_trace(path, INFO, drawn())
    path.write_bytes(path.read_bytes()[:-40])
    assert "was it cut off?" in opened(path)
    pq.write_table(pa.table({"a": [1]}), path)
    assert "lack janus_sim.trace" in opened(path)


def rewritten(path: Path, **values: Any) -> None:
    """Write a trace, then the same file with other metadata or columns."""
    write_trace(path, INFO, drawn())
    table = pq.read_table(path)
    meta = json.loads(pq.read_metadata(path).metadata[b"janus_sim.trace"])
    for name, value in values.items():
        if name in meta:
            meta[name] = value
        else:
            table = table.set_column(table.schema.get_field_index(name), name, value)
    pq.write_table(table.replace_schema_metadata({"janus_sim.trace": json.dumps(meta)}), path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version  is 2; this version of janus-sim reads 1 to 1"),
        ({"version": "1"}, "version  is '1'"),
        ({"steps": [10, 20]}, "rows  36; 2 steps x 2 micro-batches x 2 layers x 3 ranks are 24"),
        ({"experts": [4, 7]}, "layer 1, counts  has [6] values a rank, not 7"),
        ({"rows": [1, 9]}, "a rank has 10 to 10 rows"),
        ({"phase": "dream"}, "phase is 'dream'"),
        ({"ranks": True}, "ranks is True"),
        (
            {"rank": pa.array([0, 2] * 18, pa.int32())},
            "row 1, rank  is 2; rows are in order",
        ),
        ({"step": pa.array([10] * 36, pa.int32())}, "step  is int32; write int64"),
        ({"counts": pa.array([[-1, 1]] * 36)}, "counts  is list<element: int64>; write a list of uint32"),
    ],
)
def test_footers_and_columns_that_contradict(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    rewritten(tmp_path / "t.parquet", **change)
    assert told in opened(tmp_path / "t.parquet")


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_trace_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "t.parquet"
    write_trace(path, INFO, drawn(steps=(10,)))
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(bytes(content))
    try:
        for block in open_trace(path).blocks():
            assert block.counts.min() >= 0
    except InputError:
        pass


GROWTH = """
import re, sys
from pathlib import Path
from janus_sim.traces import open_trace

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

trace = open_trace(sys.argv[1])
trace.at(0, 0, 0)
before = peak()
for step in range(trace.steps):
    trace.choices_at(step, 0, 0)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell peak memory")
def test_a_large_trace_is_read_step_by_step(tmp_path: Path) -> None:
    """130 MB of choices pass through less than 90 MB of memory."""
    rng = np.random.default_rng(1)
    choices = rng.integers(0, 256, (8, 2**14, 4)).astype(np.int16)
    counts = counts_of(choices, 256)
    info = TraceInfo(model="large", top_k=4)
    blocks = (Block(step, 0, 0, counts, choices) for step in range(130))
    write_trace(tmp_path / "t.parquet", info, blocks)
    done = run([sys.executable, "-c", GROWTH, str(tmp_path / "t.parquet")], capture_output=True, check=True)
    assert 1e6 < int(done.stdout) < 90e6
