"""Schedules are pure lists, and one that forgets a pass is told so."""

from __future__ import annotations

import pytest

from janus_sim.errors import PolicyError
from janus_sim.schedules import SCHEDULES, Pass, Sequential
from janus_sim.schedules.base import Kind, checked

F0, B0, I0, W0, F1, B1 = (Pass(kind, batch) for kind, batch in (
    ("F", 0), ("B", 0), ("I", 0), ("W", 0), ("F", 1), ("B", 1)))  # type: ignore[arg-type] # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("micro_batches", [1, 2, 5])
def test_every_schedule_runs_every_micro_batch_once(name: str, micro_batches: int) -> None:
    order = SCHEDULES[name]().order(0, 1, micro_batches)
    assert checked(order, micro_batches) == order


def test_sequential_is_forward_and_backward_of_each() -> None:
    assert Sequential().order(0, 1, 2) == [(F0,), (B0,), (F1,), (B1,)]
    assert str(F1) == "F1"


@pytest.mark.parametrize(
    "order",
    [
        [(F0,), (B0,), (F1,), (B1,)],
        [(F0,), (F1,), (B1,), (B0,)],
        [(F0,), (F1, B0), (B1,)],
        [(F0,), (I0,), (F1,), (W0,), (B1,)],
        [(F0, F1), (B0, B1)],
    ],
)
def test_what_may_be_run(order: list[tuple[Pass, ...]]) -> None:
    assert checked(order, 2) == order


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ([], "micro-batch 0 as nothing"),
        ([(F0,)], "micro-batch 0 as F;"),
        ([(B0,), (F0,)], "micro-batch 0 as B F"),
        ([(F0,), (I0,)], "micro-batch 0 as F I"),
        ([(F0,), (W0,), (I0,)], "micro-batch 0 as F W I"),
        ([(F0,), (F0,), (B0,)], "micro-batch 0 as F F B"),
        ([(F0, B0)], "one after another"),
        ([(F0,), (B0,), (F1,), (B1,)], "there are micro-batches 0 to 0"),
        ([(Pass("F", 0, piece=1),)], "one piece"),
        ([(Pass("F", 0, way=1),)], "one piece"),
    ],
)
def test_what_is_refused(order: list[tuple[Pass, ...]], complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint):
        checked(order, 1)


def test_kinds_are_four() -> None:
    assert Kind.__args__ == ("F", "B", "I", "W")  # type: ignore[attr-defined]
