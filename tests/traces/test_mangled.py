"""Damaged files of every format: an error that names the file, or a whole trace; never anything else."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import open_trace, write_trace
from janus_sim.traces.formats import FORMATS, Asked, opened
from tests.traces.samples import CHOICES, SAMPLES

ASKED = Asked(tokens=3)
NAMES = {"vllm_array": "vllm", "vllm_loads": "vllm-loads", "smartmoe_packed": "smartmoe"}


def brought(path: Path, out: Path, which: str | None = None) -> None:
    """Import all, and read every block of what came of it."""
    found = opened([path], which, ASKED)
    write_trace(out, found.info, found.read.blocks)
    for _ in open_trace(out).blocks():
        pass


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_sound_and_detected(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name](tmp_path)
    assert opened([path], asked=ASKED).name == NAMES.get(name, name)
    brought(path, tmp_path / "out.parquet")


def test_every_format_has_a_sample() -> None:
    assert {NAMES.get(name, name) for name in SAMPLES} | {"sglang"} == set(FORMATS)


def mangled(content: bytes, kind: str, place: float, value: int) -> bytes:
    """Cut a file, flip some of its bytes, leave some out, or repeat some."""
    at = int(place * len(content))
    if kind == "cut":
        return content[:at]
    if kind == "flip":
        return content[:at] + bytes([content[at] ^ value]) + content[at + 1 :]
    if kind == "lose":
        return content[:at] + content[at + value :]
    return content[: at + value] + content[at:]


@pytest.mark.parametrize("name", SAMPLES)
@given(
    st.sampled_from(["cut", "flip", "flip", "lose", "repeat"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 255),
    st.integers(0, 9),
)
@settings(max_examples=40)
def test_a_damaged_file_is_refused_by_name_or_read_whole(
    name: str, kind: str, place: float, value: int, which: int
) -> None:
    with TemporaryDirectory() as folder, TemporaryDirectory() as target:
        path = SAMPLES[name](Path(folder))
        files = sorted(file for file in Path(folder).rglob("*") if file.is_file())
        file = path if path.is_file() else files[which % len(files)]
        file.write_bytes(mangled(file.read_bytes(), kind, place, value))
        out, told = Path(target) / "out.parquet", folder
        try:
            brought(path, out, NAMES.get(name, name))
        except InputError as error:
            told = str(error)
        assert folder in told or str(out) in told
        assert list(Path(target).iterdir()) == ([out] if told == folder else [])


def line(**change: object) -> Callable[[Path], None]:
    """Change a field in the second line of rank 0."""

    def edit(path: Path) -> None:
        file = path / "router_trace_rank0.jsonl"
        lines = file.read_text().splitlines()
        lines[1] = json.dumps({**json.loads(lines[1]), **change})
        file.write_text("\n".join(lines) + "\n")

    return edit


def three(value: float) -> list[list[float]]:
    """Give choices of three tokens, one of them this."""
    return [[0, 1], [2, value], [0, 2]]


def indices(values: object, kind: pa.DataType) -> Callable[[Path], None]:
    """Write other indices into layer 1."""

    def edit(path: Path) -> None:
        table = pa.table({"indices": pa.array(values, kind)})
        pq.write_table(table, path / "actives" / "iter_0540" / "layer_01.parquet")

    return edit


def text(old: str, new: str) -> Callable[[Path], None]:
    """Replace text once."""

    def edit(path: Path) -> None:
        file = path if path.is_file() else min(path.iterdir())
        file.write_text(file.read_text().replace(old, new, 1))

    return edit


def arrays(**values: object) -> Callable[[Path], None]:
    """Replace arrays."""

    def edit(path: Path) -> None:
        with np.load(path) as held:
            np.savez(path, **{**held, **values})  # type: ignore[arg-type]

    return edit


def bomb(path: Path) -> None:
    """Say in the header that an array has 10^12 numbers."""
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({10**12},), }}".ljust(117) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        name = "exp_counts.npy" if path.name == "d.npz" else "expert_load_window.npy"
        archive.writestr(name, b"\x93NUMPY\x01\x00v\x00" + header.encode() + bytes(800))


NAN = float("nan")
IDS, SCORES = pa.list_(pa.int32()), pa.list_(pa.float32())
MANY, CELL = "experts  are 40001; choices are kept of 32768", "line 2, count: a cell is not a whole number"
UNEVEN = "are not equally many whole numbers"


@pytest.mark.parametrize(
    ("name", "edit", "told"),
    [
        ("megatron", line(top_indices=three(40000)), MANY),
        ("megatron", line(top_indices=three(NAN)), "line 2, top_indices  is float64"),
        ("megatron", line(top_indices=three(2**70)), "experts  are 9223372036854775808"),
        ("megatron", line(num_tokens=2**31 - 1, topk=2**31 - 1), "line 2, top_indices  is int64 of"),
        ("megatron", line(step=2**40), "line 2, step  is 1099511627776"),
        ("megatron", line(topk=0, top_indices=[[], [], []]), "line 2, topk  is 0"),
        ("megatron", line(logit_shape=["x"]), "line 2, logit_shape  is ['x']"),
        ("megatron", line(mtp_idx=-1), "line 2, mtp_idx  is -1"),
        ("flame", indices(three(70000), IDS), "layer_01.parquet:\n  indices, token 1"),
        ("flame", indices(three(-1), IDS), "layer_01.parquet:\n  indices, token 1"),
        ("flame", indices([[0, 1], [2], [0, 2]], IDS), UNEVEN),
        ("flame", indices(three(NAN), SCORES), UNEVEN),
        ("flame", indices([[0, 1], None, [0, 2]], IDS), UNEVEN),
        ("flame", indices([[0, 1]], IDS), "holds 1 tokens; layer_00.parquet holds 3"),
        ("flame", indices([], IDS), "layer_01.parquet:\n  holds 0 tokens"),
        ("vllm", text("[0, 1]", "[0, 40000]"), MANY),
        ("vllm", text("[0, 1]", "[0, -1]"), "line 1, choice 0, routed_experts, token 0  expert -1"),
        ("vllm", text("[0, 1]", "[0, NaN]"), "r.jsonl:\n  line 1, choice 0, routed_experts  is float64"),
        ("smartmoe", text("3.0", "NaN"), "line 1, micro-batch 0, expert 1  holds nan"),
        ("smartmoe", text("3.0", "-3.0"), "line 1, micro-batch 0, expert 1  holds -3"),
        ("laer", text("e8k2,0,0,1", "e8k2,0,0,-1"), "line 2, token_num: -1; nothing is below 0"),
        ("laer", text("e8k2,0,0,1", "e8k2,0,0,nan"), "line 2, token_num: a cell is not"),
        ("laer", text("1,FSDP,e8k2,0,0", f"{2**63 - 2},FSDP,e8k2,0,0"), "line 6, rank  is 922337203685"),
        ("olmoe", text("arxiv,0,0,0,0,1", "arxiv,0,0,0,0,1.5"), CELL),
        ("olmoe", text("olmoe,arxiv,0,0,0,1,2\n", ""), "has 7 rows; 2 x 2 x 2 are due, each cell once"),
        ("csv", text("1,0,0,0,0,1", "1,0,0,0,999999999999,1"), "rank to 1, expert to 999999999999:"),
        ("csv", text("1,0,0,0,0,1", "1,0,0,0,0,nan"), CELL),
        ("npz", arrays(counts=np.full((1, 1, 1, 1, 2), -1), iteration=[1]), "layer 0 holds a count below 0"),
        ("npz", arrays(counts=np.full((2, 1, 1, 1, 2), NAN)), "counts.npy holds float64"),
        ("npz", arrays(iteration=np.array([1, 2**63 + 1], np.uint64)), "iteration goes from 1 to 922"),
        ("deepspeed", arrays(exp_counts=np.full((1, 1, 1, 2), NAN)), "exp_counts.npy holds float64"),
        ("deepspeed", arrays(exp_counts=np.full((1, 1, 1, 2), 2**33)), "8589934592 rows of rank 0"),
        ("deepspeed", bomb, "shape (1000000000000,) does not fit"),
        ("vllm_loads", bomb, "shape (1000000000000,) does not fit"),
        ("vllm_loads", arrays(physical_to_logical_map=[[0, 1, 9**9]] * 2), "experts 0 to 387420489"),
        ("vllm_loads", arrays(expert_load_window=-np.ones((2, 2, 3), int)), "window[0, 0, 0]  is -1"),
    ],
)  # fmt: skip
def test_values_that_cannot_be(name: str, edit: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    path = SAMPLES[name](folder)
    edit(path)
    with pytest.raises(InputError) as error:
        brought(path, out / "t.parquet", NAMES.get(name, name))
    assert str(folder) in str(error.value) or "out" in str(error.value)
    assert told in str(error.value)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["megatron", "smartmoe"])
def test_a_gap_in_the_ranks(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name](tmp_path)
    file = next(file for file in path.iterdir() if "rank1" in file.name)
    file.rename(file.with_name(file.name.replace("rank1", "rank2")))
    with pytest.raises(InputError, match="there are 0, 2, but no 1"):
        brought(path, tmp_path / "out.parquet")


@pytest.mark.parametrize("name", ["vllm_loads", "deepspeed", "laer", "olmoe"])
def test_one_file_at_a_time_where_a_second_would_be_lost(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name](tmp_path)
    with pytest.raises(InputError, match="are imported one by one"):
        opened([path, path], asked=ASKED)


def test_both_ways_of_reading_megatrons_lines_are_one(tmp_path: Path) -> None:
    """An empty line sends a file the slow way."""
    path = SAMPLES["megatron"](tmp_path)
    brought(path, tmp_path / "fast.parquet")
    for file in path.glob("*.jsonl"):
        file.write_text("\n" + file.read_text())
    brought(path, tmp_path / "slow.parquet")
    assert (tmp_path / "fast.parquet").read_bytes() == (tmp_path / "slow.parquet").read_bytes()
    found = open_trace(tmp_path / "fast.parquet").choices_at(0, 0, 1)
    assert found is not None
    assert np.array_equal(found, CHOICES)
