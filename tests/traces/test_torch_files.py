"""Files of torch.save: SGLang's recorder and vLLM's loads; one that holds code is refused, not executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.traces.bringing import brought, refused

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install janus-sim[torch]")

NAME = "expert_distribution_recorder_1.5"


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


def test_sglang_counts(tmp_path: Path) -> None:
    """A buffer of three passes, the last not filled; layer 0 is dense."""
    counts = torch.zeros((3, 2, 4), dtype=torch.int32)
    counts[0, 1], counts[1, 1] = torch.tensor([1, 2, 3, 0]), torch.tensor([3, 1, 0, 2])
    value = {"rank": 0, "logical_count": counts, "average_utilization_rate_over_window": None}
    name, trace = brought(saved(tmp_path / f"{NAME}.pt", value), top_k=2)
    assert (name, trace.steps, trace.ranks, trace.experts) == ("sglang", 2, 1, (4,))
    assert trace.at(0, 0, 0).tolist() == [[1, 2, 3, 0]]
    assert trace.info.notes == (
        "one source rank: the recorder adds up the ranks in this mode",
        "1 forward passes without a row left out (buffer not full)",
        "layers [0] left out: no rows at all, so they are dense",
    )
    counts[1, 1, 3] = -1
    told = refused(saved(tmp_path / f"{NAME}.pt", value))
    assert "logical_count[1, 1, 3]  is -1; nothing is below 0" in told


def per_token(folder: Path, ranks: tuple[int, ...] = (0, 1), **more: Any) -> Path:
    """Two passes, two layers (the first dense), slots 0 to 3 of which slot 3 is a copy of expert 0."""
    folder.mkdir(exist_ok=True)
    for rank in ranks:
        tokens = 2 if rank == 0 else 1
        ids = torch.full((2, tokens, 8), -1, dtype=torch.int32)
        ids[1, :, :2] = torch.tensor([[0, 1], [3, 2]][:tokens])
        count = torch.zeros((2, 4), dtype=torch.int32)
        count[1] = torch.tensor([1, 1, tokens - 1, tokens - 1])
        record = {"rank": rank, "gatherer_key": "primary", "input_ids": [7], "topk_ids_of_layer": ids,
                  "global_physical_count": count, **more}  # fmt: skip
        value = {
            "records": [{"forward_pass_id": step, **record} for step in (4, 5)],
            "last_physical_to_logical_map": torch.tensor([[0, 1, 2, 0]] * 2),
        }
        saved(folder / f"{NAME}_{rank}.pt", value)
    return folder


def test_sglang_choices_of_tokens(tmp_path: Path) -> None:
    name, trace = brought(per_token(tmp_path / "s"))
    assert (name, trace.info.steps, trace.ranks, trace.experts) == ("sglang", (4, 5), 2, (3,))
    assert trace.at(1, 0, 0).tolist() == [[2, 1, 1], [1, 1, 0]]
    assert np.array_equal(trace.choices_at(0, 0, 0)[0], [[0, 1], [0, 2]])  # type: ignore[index]
    assert np.array_equal(trace.choices_at(0, 0, 0)[1], [[0, 1], [-1, -1]])  # type: ignore[index]


def test_sglang_records_that_are_wrong(tmp_path: Path) -> None:
    assert "rank  there are 0, 2, but no 1" in refused(per_token(tmp_path / "a", (0, 2)))
    wild = torch.full((2, 1, 8), 9, dtype=torch.int32)
    told = refused(per_token(tmp_path / "b", topk_ids_of_layer=wild))
    assert "forward pass 4, topk_ids_of_layer  9 to 9; there are slots 0 to 3" in told
    assert "holds neither logical_count nor records" in refused(saved(tmp_path / f"{NAME}.pt", {"a": 1}))


def test_vllm_loads_of_torch(tmp_path: Path) -> None:
    value = {
        "expert_load_window": torch.tensor([[[1, 2, 4]]], dtype=torch.int32),
        "physical_to_logical_map": torch.tensor([[0, 1, 0]]),
    }
    name, trace = brought(saved(tmp_path / "w.pt", value), which="vllm-loads")
    assert (name, trace.at(0, 0, 0).tolist()) == ("vllm-loads", [[5, 2]])


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_pt_that_holds_code_is_refused_and_not_executed(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    told = refused(saved(tmp_path / f"{NAME}.pt", {"records": [], "x": Evil(trap)}))
    assert "nothing of it was executed" in told
    assert "mkdir" in told
    assert not trap.exists()
    torch.load(tmp_path / f"{NAME}.pt", weights_only=False)
    assert trap.exists(), "the file would have done it"


def test_a_pt_that_was_cut_off(tmp_path: Path) -> None:
    path = saved(tmp_path / f"{NAME}.pt", {"logical_count": torch.ones((1, 1, 1000), dtype=torch.int32)})
    path.write_bytes(path.read_bytes()[:-500])
    assert "is not a whole .pt file" in refused(path)
    path.write_bytes(b"")
    assert "is not a whole .pt file" in refused(path)
