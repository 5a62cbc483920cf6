"""Each importer on a small file in the exact format, and on files that are not."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from janus_sim.traces.formats import FORMATS, Asked, opened
from tests.traces.bringing import brought, refused

# ---------------------------------------------------------------- Megatron-Core


def line(step: int, layer: int, rank: int, indices: list[list[int]], **more: Any) -> dict[str, Any]:
    top_k = len(indices[0]) if indices else 2
    return {
        "step": step, "stage": "pre_dispatch", "block": "decoder", "layer": layer, "rank": rank,
        "num_tokens": len(indices), "topk": top_k, **more, "top_indices": indices,
    }  # fmt: skip


def jsonl(folder: Path, rank: int, lines: list[dict[str, Any]]) -> Path:
    path = folder / f"router_trace_rank{rank}.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def megatron(folder: Path, ranks: tuple[int, ...] = (0, 1)) -> Path:
    """Two steps of two micro-batches, layers 1 and 2 of the decoder; rank 1 has one token less."""
    folder.mkdir(exist_ok=True)
    for rank in ranks:
        tokens = [[0, 1], [2, 3], [0, 2]][: 3 - rank]
        jsonl(folder, rank, [line(s, la, rank, tokens) for s in (0, 1) for _ in range(2) for la in (1, 2)])
    return folder


def test_megatron(tmp_path: Path) -> None:
    name, trace = brought(megatron(tmp_path / "m"))
    assert (name, trace.ranks, trace.experts, trace.info.steps) == ("megatron", 2, (4, 4), (0, 1))
    assert (trace.micro_batches, trace.info.top_k, trace.info.tokens) == (2, 2, (2, 3))
    assert trace.at(1, 1, 0).tolist() == [[2, 1, 2, 1], [1, 1, 1, 1]]
    assert np.array_equal(trace.choices_at(0, 0, 1)[1], [[0, 1], [2, 3], [-1, -1]])  # type: ignore[index]
    assert "4 experts: the largest id that occurs" in trace.info.notes[0]
    assert brought(tmp_path / "m", experts=8)[1].experts == (8, 8)
    mtp = line(0, 1, 0, [[1, 0]], block="mtp", mtp_idx=0, logit_shape=[1, 16])
    path = jsonl(tmp_path, 0, [line(0, 1, 0, [[0, 1]], logit_shape=[1, 16]), mtp])
    assert brought(path)[1].experts == (16, 16)


def test_rank_0_alone_is_a_trace_of_one_rank_and_a_gap_is_not(tmp_path: Path) -> None:
    assert brought(megatron(tmp_path / "a", (0,)))[1].ranks == 1
    told = refused(megatron(tmp_path / "b", (0, 2)))
    assert "router_trace_rank{r}.jsonl  there are 0, 2, but no 1" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rank": 7}, "line 2, rank  is 7; the file is rank 0's"),
        ({"topk": 3}, "line 2, top_indices  is int64 of shape (2, 2); num_tokens x topk is (2, 3)"),
        ({"layer": None}, "line 2, layer  is None"),
        ({"step": -1}, "line 2, step  is -1"),
        ({"top_indices": [[0, 1], [2]]}, "line 2, top_indices"),
        ({"top_indices": [[0, 1], [2, 9]]}, "line 2, top_indices  expert 9; the layer has experts 0 to 3"),
        ({"top_indices": [[0, 1], [2, -1]]}, "line 2, top_indices  expert -1"),
        ({"layer": 5}, "line 4, layer"),
    ],
)
def test_megatron_records_that_are_wrong(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    good = [line(s, la, 0, [[0, 1], [2, 3]]) for s in (0, 1) for la in (1, 2)]
    path = jsonl(tmp_path, 0, [good[0], {**good[1], **change}, *good[2:]])
    assert told in refused(path, experts=4)


def test_a_megatron_file_that_was_cut_off(tmp_path: Path) -> None:
    path = megatron(tmp_path / "m") / "router_trace_rank1.jsonl"
    whole = path.read_text()
    path.write_text(whole[:-20])
    assert f"{path}:\n  line 8  is not JSON" in refused(tmp_path / "m", experts=4)
    path.write_text("\n".join(whole.splitlines()[:6]))
    assert "the end  comes before step 1, micro-batch 1 of another rank" in refused(tmp_path / "m", experts=4)
    path.write_text("")
    assert "the end  comes before step 0" in refused(tmp_path / "m", experts=4)


# ---------------------------------------------------------------- SmartMoE


def smartmoe(folder: Path, ranks: tuple[int, ...] = (0, 1), text: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    for step in (1, 11):
        for rank in ranks:
            good = f"0:[[1.0, {step}.0], [2.0, 0.0]]\n1:[[{rank}.0, 3.0], [1.0, 1.0]]\n"
            (folder / f"table_iter{step}_rank{rank}.log").write_text(good if text is None else text)
    return folder


def test_smartmoe_logs(tmp_path: Path) -> None:
    name, trace = brought(smartmoe(tmp_path / "s"))
    assert (name, trace.info.steps, trace.micro_batches) == ("smartmoe", (1, 11), 2)
    assert trace.at(1, 0, 0).tolist() == [[1, 11], [1, 11]]
    assert trace.at(0, 0, 1).tolist() == [[0, 3], [1, 3]]
    plain = tmp_path / "s" / "table_iter1_rank0.log"
    packed = tmp_path / "table_iter1_rank0.log.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert brought(packed)[1].at(0, 1, 0).tolist() == [[2, 0]]
    packed.write_bytes(gzip.compress(plain.read_bytes())[:-9])
    assert "was the file cut off?" in refused(packed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("1:[[1.0]]", 'line 1  begins with "1"'),
        ("0:[[1.0]]\n1:[[1.0", "line 2  cannot be read"),
        ("0:[[1.0]]\n1:[[1.0, 2.0]]", "line 2  holds numbers of shape (1, 2)"),
        ("0:[[1.0, 0.5]]", "line 1, micro-batch 0, expert 1  holds 0.5"),
        ("0:[[1.0, -2.0]]", "line 1, micro-batch 0, expert 1  holds -2; write a count of 0 or more"),
    ],
)
def test_smartmoe_logs_that_are_wrong(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(smartmoe(tmp_path / "s", text=text))


def test_smartmoe_with_a_rank_missing(tmp_path: Path) -> None:
    assert "there are 0, 2, but no 1" in refused(smartmoe(tmp_path / "s", ranks=(0, 2)))


# ---------------------------------------------------------------- LAER, OLMoE

LAER = "rank,method,model_name,layer,iter,token_num\n"


def test_laer(tmp_path: Path) -> None:
    rows = [f"{r},{m},e8k2,{la},{i},{10 * r + i}" for m in ("FSDP", "LAER") for r in (0, 1) for la in (0, 1)
            for i in (0, 1)]  # fmt: skip
    path = tmp_path / "token_analysis.csv"
    path.write_text(LAER + "\n".join(rows) + "\n")
    assert "method  holds FSDP, LAER; choose one: --select method=..." in refused(path)
    name, trace = brought(path, select={"method": "LAER"})
    assert (name, trace.ranks, trace.experts, trace.steps) == ("laer", 1, (2, 2), 2)
    assert trace.at(1, 0, 0).tolist() == [[1, 11]]
    assert trace.info.licence == "Apache-2.0"
    assert "an expert here is all experts of one rank" in " ".join(trace.info.notes)
    packed = tmp_path / "token_analysis.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert brought(packed, select={"method": "FSDP"})[0] == "laer"
    path.write_text(LAER + "\n".join(rows[:-1]))
    assert "has 7 rows; 2 x 2 x 2 are due" in refused(path, select={"method": "LAER"})
    path.write_text(LAER + "\n".join([*rows[:2], "0,FSDP,e8k2,1,0,-5", *rows[3:]]))
    assert "line 4, token_num: -5; nothing is below 0" in refused(path, select={"method": "FSDP"})
    path.write_text(LAER + "0,FSDP,e8k2,0,0,x\n")
    assert "line 2, token_num: a cell is not a whole number (invalid value 'x')" in refused(path)


def test_olmoe(tmp_path: Path) -> None:
    path = tmp_path / "expert_counts.csv"
    rows = [f"olmoe,{d},{top},{slot},{7 * slot},{e},{e + 1}" for d in ("arxiv", "book") for top in (0, 1)
            for slot in (0, 1) for e in (0, 1)]  # fmt: skip
    path.write_text("model,domain,top1_only,layer_slot,layer,expert,count\n" + "\n".join(rows) + "\n")
    name, trace = brought(path, top_k=1)
    assert (name, trace.steps, trace.experts, trace.info.phase) == ("olmoe", 2, (2, 2), "inference")
    assert trace.at(1, 0, 1).tolist() == [[1, 2]]
    assert "0 arxiv, 1 book" in trace.info.notes[0]


# ---------------------------------------------------------------- FLAME-MoE


def flame(folder: Path, indices: Any = None, layers: tuple[int, ...] = (2, 3)) -> Path:
    capture = folder / "actives" / "iter_0540"
    capture.mkdir(parents=True, exist_ok=True)
    for layer in layers:
        tokens = [[layer, 7], [0, 1], [5, 6], [1, 2], [3, 4]] if indices is None else indices
        columns = {
            "scores": pa.array([[0.5, 0.25]] * len(tokens), pa.list_(pa.float16(), 2)),
            "indices": pa.array(tokens, pa.list_(pa.int16(), 2)),
        }
        pq.write_table(pa.table(columns), capture / f"layer_{layer:02}.parquet")
    return folder


def test_flame(tmp_path: Path) -> None:
    name, trace = brought(flame(tmp_path / "f"), tokens=2, ranks=1, experts=8)
    assert (name, trace.info.steps, trace.micro_batches, trace.info.top_k) == ("flame", (540,), 2, 2)
    assert np.array_equal(trace.choices_at(0, 0, 1), [[[3, 7], [0, 1]]])  # type: ignore[arg-type]
    assert trace.at(0, 1, 0).tolist() == [[0, 1, 1, 0, 0, 1, 1, 0]]
    spread = brought(tmp_path / "f" / "actives" / "iter_0540", tokens=1, ranks=2, micro_batches=1)[1]
    assert (spread.ranks, spread.micro_batches, spread.experts) == (2, 1, (64, 64))
    assert "would be a trace without a block" in refused(tmp_path / "f", tokens=100)
    told = refused(tmp_path / "f", tokens=2, experts=7)
    assert "layer_02.parquet:\n  indices, token 0  expert 7; there are experts 0 to 6" in told
    assert "without a gap" in refused(flame(tmp_path / "g", layers=(2, 4)))
    file = tmp_path / "f" / "actives" / "iter_0540" / "layer_03.parquet"
    file.write_bytes(file.read_bytes()[:-30])
    assert "is not a whole Parquet file" in refused(tmp_path / "f", tokens=2)


# ---------------------------------------------------------------- vLLM


def npy(table: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(table))
    return stream.getvalue()


PROMPT, GENERATED = [[[0, 1], [2, 3]]], [[[3, 1], [0, 1]], [[1, 2], [0, 3]]]


def response(prompt: Any = PROMPT, generated: Any = GENERATED) -> str:
    choice = {"index": 0, "text": "x", "routed_experts": generated}
    return json.dumps({"id": "cmpl-1", "choices": [choice], "prompt_routed_experts": prompt})


def test_vllm_responses(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(response() + "\n" + response(prompt=None) + "\n")
    name, trace = brought(path, experts=4)
    assert (name, trace.steps, trace.ranks, trace.experts) == ("vllm", 2, 1, (4, 4))
    assert trace.info.tokens == (2, 3)
    assert np.array_equal(trace.choices_at(0, 0, 0), [[[0, 1], [3, 1], [1, 2]]])  # type: ignore[arg-type]
    one = tmp_path / "r.json"
    one.write_text(response(None, base64.b64encode(npy(GENERATED)).decode()))
    assert brought(one)[1].at(0, 0, 1).tolist() == [[2, 1, 0, 1]]
    alone = tmp_path / "r.npy"
    alone.write_bytes(npy(GENERATED))
    assert brought(alone)[1].at(0, 0, 0).tolist() == [[0, 2, 1, 1]]


def test_vllm_layers_that_route_nothing_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.npy"
    path.write_bytes(npy([[[0, 0], [1, 2]], [[0, 0], [2, 0]]]))
    trace = brought(path)[1]
    assert trace.experts == (3,)
    assert "layers [0] left out" in trace.info.notes[-1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (response()[:-9] + " routed_experts", "is not JSON"),
        ('{"routed_experts": 1}', "choices  is missing"),
        (response(generated=[[1, 2]]), "choice 0, routed_experts"),
        (response(generated="%%"), "choice 0, routed_experts  cannot be read"),
        (response(generated=[[[9, 1], [0, 1]]]), "expert 9; there are experts 0 to 3"),
        (response(generated=[[[0, 1]]]), "differs from the prompt"),
    ],
)
def test_vllm_responses_that_are_wrong(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "r.json").write_text(text)
    assert told in refused(tmp_path / "r.json", experts=4)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    evil = io.BytesIO()
    np.save(evil, np.array([Path("x")], dtype=object), allow_pickle=True)
    (tmp_path / "r.json").write_text(response(generated=base64.b64encode(evil.getvalue()).decode()))
    assert "cannot be read: it holds object; write whole numbers" in refused(tmp_path / "r.json")
    np.savez(tmp_path / "d.npz", exp_counts=np.array([Path("x")], dtype=object))
    assert "exp_counts.npy holds object; write whole numbers" in refused(tmp_path / "d.npz")


def test_vllm_loads(tmp_path: Path) -> None:
    """Two passes, one layer of three slots: expert 0 has two of them; nothing in the second pass."""
    window = np.array([[[1, 2, 4]], [[0, 0, 0]]], dtype=np.int32)
    np.savez(tmp_path / "w.npz", expert_load_window=window, physical_to_logical_map=np.array([[0, 1, 0]]))
    name, trace = brought(tmp_path / "w.npz")
    assert (name, trace.at(0, 0, 0).tolist(), trace.steps) == ("vllm-loads", [[5, 2]], 1)
    np.savez(tmp_path / "w.npz", expert_load_window=-window, physical_to_logical_map=np.array([[0, 1, 0]]))
    assert "expert_load_window[0, 0, 0]  is -1; nothing is below 0" in refused(tmp_path / "w.npz")


# ---------------------------------------------------------------- DeepSpeed, plain tables and arrays


def test_deepspeed(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, exp_counts=np.arange(8).reshape(2, 1, 2, 2))
    name, trace = brought(path)
    assert (name, trace.steps, trace.ranks, trace.at(1, 0, 0).tolist()) == (
        "deepspeed",
        2,
        2,
        [[4, 5], [6, 7]],
    )
    np.savez(path, exp_counts=np.full((1, 1, 1, 2), -1))
    assert "exp_counts[0, 0, 0, 0, 0]  is -1; nothing is below 0" in refused(path)
    np.savez(path, exp_counts=np.ones((2, 2)))
    assert "exp_counts.npy holds float64; write whole numbers" in refused(path)
    np.savez(path, exp_counts=np.ones((2, 2), int))
    assert "exp_counts  is int64 of shape (2, 2)" in refused(path)


CSV = "step,micro_batch,layer,rank,expert,count\n"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["0,0,0,0,0,1", "0,0,0,2,0,1"], "rank: there are 0, 2, but no 1"),
        (["0,0,0,0,0,1", "0,1,0,0,0,-1"], "line 3, count: -1; nothing is below 0"),
        (
            ["0,0,0,0,0,1", "0,0,0,0,9,1"],
            "step 0, micro-batch 0, layer 0, rank 0  expert 9; a layer has experts 0 to 7",
        ),
        (["0,0,0,0,0,1", "0,2,0,0,0,1"], "micro_batch: there are 0, 2, but no 1"),
    ],
)
def test_plain_tables_that_are_wrong(tmp_path: Path, rows: list[str], told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(CSV + "\n".join(rows) + "\n")
    assert told in refused(path, experts=8)


def test_detection(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV + "0,0,0,0,0,1\n")
    assert brought(tmp_path / "t.csv")[0] == "csv"
    np.savez(tmp_path / "t.npz", counts=np.ones((1, 1, 1, 1, 1), int))
    assert brought(tmp_path / "t.npz", which="npz")[0] == "npz"
    assert brought(tmp_path / "out.parquet")[0] == "neutral"
    assert "several formats (t.csv is csv, t.npz is npz)" in refused(tmp_path / "t.csv", tmp_path / "t.npz")
    assert all(known.what for known in FORMATS.values())


# ---------------------------------------------------------------- the data that is measured


@pytest.fixture
def routing(data: Path) -> Iterator[Path]:
    return data / "routing"


def test_the_laer_data(routing: Path, tmp_path: Path) -> None:
    """The README of the data: max/mean over ranks of e8k2 is 1.66 under FSDP and 1.41 under LAER."""
    for method, wanted in (("FSDP", 1.66), ("LAER", 1.41)):
        found = opened(
            [routing / "laer" / "token_analysis.csv.gz"],
            asked=Asked(select={"method": method, "model_name": "mixtral-8x7b-e8k2"}),
        )
        rows = np.array([block.counts[0] for block in found.read.blocks])
        assert rows.shape == (320, 32)
        assert (rows.sum(axis=1) == 64 * 8192 * 2).all()
        assert round(float((rows.max(axis=1) / rows.mean(axis=1)).mean()), 2) == wanted


def test_the_olmoe_data(routing: Path) -> None:
    asked = Asked(select={"model": "olmoe"}, top_k=8)
    found = opened([routing / "olmoe" / "expert_counts.csv"], asked=asked)
    blocks = list(found.read.blocks)
    assert len(blocks) == 6 * 3
    assert {block.counts.shape for block in blocks} == {(1, 64)}


def test_a_raw_log_of_smartmoe_agrees_with_the_arrays(routing: Path, tmp_path: Path) -> None:
    packed = tmp_path / "table_iter1_rank0.log.gz"
    packed.write_bytes((routing / "smartmoe" / "raw_sample_table_iter1_rank0.log.gz").read_bytes())
    trace = brought(packed)[1]
    straight = np.load(routing / "smartmoe" / "trace_mb0_iter0001-2491.npz", allow_pickle=False)["counts"]
    assert trace.micro_batches == 4
    for layer in range(24):
        assert trace.at(0, 0, layer)[0].tolist() == straight[0, 0, layer].tolist()
