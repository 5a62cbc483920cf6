"""Tokens travel, and everything is waited for."""

from __future__ import annotations

import numpy as np
import pytest

from janus_sim.policies import ExpertCentric, Pipelined
from tests.policies.small import HIDDEN, TOKENS, TOP_K, WIDTH, run


def times(one: object, label: str, column: str, rank: int) -> np.ndarray:
    spans = one.spans  # type: ignore[attr-defined]
    return np.asarray(spans[column][(spans["label"] == label) & (spans["rank"] == rank)])


def test_the_last_all_to_all_of_a_layer_waits_for_the_weight_gradients() -> None:
    """An honest baseline: hiding them under it is another system's idea."""
    one = run(ExpertCentric())
    for rank in range(16):
        weights = times(one, f"expert {rank} weights", "end", rank)
        joined = times(one, "dispatch backward", "joined", rank)
        assert (joined >= weights).all()
        assert len(joined) == 2


def test_a_layer_is_dispatch_experts_combine() -> None:
    one = run(ExpertCentric())
    for rank in range(16):
        dispatch, combine = (times(one, label, "end", rank) for label in ("dispatch", "combine"))
        expert = times(one, f"expert {rank}", "begin", rank)
        assert (dispatch <= expert).all()
        assert (expert < combine).all()


def test_counts_are_read_back_only_where_they_vary() -> None:
    skew = {"routing": {"kind": "zipf", "exponent": 1.0}}
    assert "host sync" not in set(run(ExpertCentric(), capacity_factor=1.0, **skew).spans["label"])


def test_padding_is_computed_and_told_apart() -> None:
    """Capacity 2: twice the rows arrive, half of them useful."""
    spans = run(ExpertCentric(), capacity_factor=2.0).spans
    expert = spans["label"] == "expert 3"
    assert spans["flops"][expert] == pytest.approx(spans["padded_flops"][expert] / 2)


def test_the_ledger_holds_what_was_sent_and_what_arrived() -> None:
    one = run(ExpertCentric(), micro_batches=2)
    size = 2 * (2 * TOKENS * TOP_K) * HIDDEN * WIDTH  # layers, sent and arrived; one micro-batch is alive
    assert ExpertCentric().memory(0, tuple(range(8)), one.visits("forward"), 8) == {"dispatch buffers": size}


def test_chunks_run_beside_each_other_and_add_up() -> None:
    whole, parts = run(ExpertCentric()), run(Pipelined(inner=ExpertCentric(), chunks=4))
    for label in ("dispatch", "combine", "combine backward", "dispatch backward"):
        mine = whole.spans["label"] == label
        cut = parts.spans["label"] == label
        assert cut.sum() == 4 * mine.sum()
        assert parts.spans["bytes"][cut].sum() == whole.spans["bytes"][mine].sum()
    first = times(parts, "expert 0", "begin", 0)[0]
    assert first < times(parts, "dispatch", "end", 0)[3]  # the first chunk computes while the last travels


def test_one_chunk_changes_nothing() -> None:
    assert run(Pipelined(inner=ExpertCentric(), chunks=1)).end == run(ExpertCentric()).end


def test_chunks_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="write 1 or more"):
        Pipelined(inner=ExpertCentric(), chunks=0)


@pytest.mark.parametrize("path", ["1dh", "2dh"])
def test_tokens_may_travel_by_hops_and_cross_machines_once(path: str) -> None:
    """The same rows leave each machine, by fewer messages; what stays inside passes NVLink more often."""
    flat, hops = run(ExpertCentric()), run(ExpertCentric(path=path))  # type: ignore[arg-type]
    assert hops.spans["far_bytes"].sum() == flat.spans["far_bytes"].sum()
    assert hops.spans["bytes"].sum() > flat.spans["bytes"].sum()
    assert hops.spans["flops"].sum() == flat.spans["flops"].sum()
