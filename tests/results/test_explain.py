"""The waterfall from one record to another, in whole numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from janus_sim.record import LinkRecord, Record, SpanLog, StepRecord
from janus_sim.results import figures_waterfall
from janus_sim.results.explain import REMAINDER, Part, Waterfall, explain, nic_of, why
from janus_sim.results.result import Result


def story(kernel: float, moves: dict[str, float], name: str) -> Result:
    """One kernel of a rank, then transfers one after another."""
    log = SpanLog()
    last = log.add(0, 0, -1, "", 0, 0, "compute", "compute", "gemm", "F0", 0.0, 0.0, kernel, ideal=1.0)
    now = kernel
    for link, seconds in moves.items():
        last = log.add(
            0, 0, -1, "", 0, 0, "copy", "transfer", "pull", "F0", now, now, now + seconds, last, link, 8
        )
        now += seconds
    kinds = {"m0.nic0.in": "nic", "m0.nic1.out": "nic", "m0.switch0.uplink.down": "uplink"}
    links = tuple(LinkRecord(link, kind, 0, 1.0, False, 8, 0, 1.0) for link, kind in kinds.items())
    return Result(Record(log.columns(), (StepRecord(0, 0.0, now, last),), links), {"name": name})


def test_each_nic_stands_by_its_name_and_the_parts_add_up() -> None:
    slow = story(2.0, {"m0.nic0.in": 3.0, "m0.nic1.out": 4.0}, "slow")
    fast = story(3.0, {"m0.nic1.out": 1.0, "m0.switch0.uplink.down": 2.0}, "fast")
    told = explain(slow, fast)
    changes = {part.name: part.change for part in told.parts}
    assert changes == {
        "small-kernel loss": 1.0,
        "PCIe": 2.0,
        "NIC m0.nic0": -3.0,
        "NIC m0.nic1": -3.0,
        "compute": 0.0,
        REMAINDER: 0.0,
    }
    assert sum(changes.values()) == told.after - told.before == -3.0
    assert next(part for part in told.merged() if part.name == "NICs").change == -6.0
    assert why(told).startswith("fast is 1.50x faster than slow (6 s instead of 9 s): it spends 6 s less on")
    assert why(told).endswith("but 2 s more on bytes over PCIe and host memory and 1 s more on kernels that "
                              "are small or bound by memory.")  # fmt: skip


def test_a_wait_has_no_name_and_is_the_remainder() -> None:
    log = SpanLog()
    last = log.add(0, 0, -1, "", 0, 0, "host", "wait", "", "F0", 0.0, 0.0, 5.0)
    waits = Result(Record(log.columns(), (StepRecord(0, 0.0, 5.0, last),)), {"name": "waits"})
    told = explain(waits, waits)
    assert told.parts == (Part(REMAINDER, 5.0, 5.0),)
    assert why(told) == "waits is as fast as waits (5 s)."


def test_parts_add_up_for_a_made_world(made: Callable[..., Record]) -> None:
    results = [
        Result(made(policy, steps=2), {"name": policy}) for policy in ("expert_centric", "data_centric")
    ]
    told = explain(results[0], results[1])
    assert sum(part.before for part in told.parts) == pytest.approx(told.before, rel=0, abs=1e-12)
    assert sum(part.change for part in told.parts) == pytest.approx(
        told.after - told.before, rel=0, abs=1e-12
    )
    assert "waiting for the busiest rank" in {part.name for part in told.parts}


def test_the_figure_draws_small_nics_together() -> None:
    nics = tuple(Part(f"NIC m0.nic{i}", 0.0, 0.001 * i) for i in range(5))
    told = Waterfall("a", "b", 1.0, 1.01, (*nics, Part("compute", 1.0, 1.0)))
    assert [part.name for part in figures_waterfall.parts(told)] == ["5 NICs", "compute"]
    large = Waterfall("a", "b", 1.0, 2.01, (*nics, Part("NIC m1.nic0", 0.0, 1.0)))
    assert [part.name for part in figures_waterfall.parts(large)] == ["5 other NICs", "NIC m1.nic0"]
    axes = figures_waterfall.draw(told).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "5 NICs", "compute", "b"]


def test_a_nic_is_named_without_its_direction() -> None:
    assert nic_of("m3.nic1.in") == "m3.nic1"
    assert nic_of("m3.bus") == "m3.bus"
