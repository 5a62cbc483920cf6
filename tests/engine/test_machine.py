"""What GPUs of a machine share: things done once, parts handed in, slots and credits."""

from __future__ import annotations

import pytest

from janus_sim.engine.machine import Buffer, Machine, Slots
from janus_sim.engine.time import Activity, Steps, Timeline
from janus_sim.errors import PolicyError


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


def test_once_runs_for_whoever_asks_first_and_the_others_wait_for_the_same(timeline: Timeline) -> None:
    machine, ran, told = Machine(timeline, 0, (0, 1)), [], []

    def fetch() -> Steps:
        ran.append(timeline.now)
        yield timeline.sleep(2.0)

    def ask(after: float) -> Steps:
        yield timeline.sleep(after)
        yield machine.once("expert 3", fetch())
        told.append(timeline.now)

    for after in (1.0, 2.0, 9.0):
        timeline.start(ask(after), "asks")
    timeline.run()
    assert (ran, told) == ([1.0], [3.0, 3.0, 9.0])


def test_complete_is_true_for_the_last_of_all_parts(timeline: Timeline) -> None:
    machine = Machine(timeline, 0, (0, 1, 2))
    assert [machine.complete("gradient", 3) for _ in range(3)] == [False, False, True]
    assert [machine.complete("other", machine.ranks) for _ in range(3)] == [False, False, True]


def test_a_step_forgets_what_was_done_once_handed_in_and_worked_out(timeline: Timeline) -> None:
    machine = Machine(timeline, 0, (0,))
    first = machine.once("fetch", (step for step in [timeline.sleep(1.0)]))
    assert machine.recall("order", lambda: [1]) is machine.recall("order", lambda: [2])
    machine.complete("part", 2)
    machine.clear()
    assert machine.once("fetch", (step for step in [timeline.sleep(1.0)])) is not first
    assert machine.recall("order", lambda: [2]) == [2]
    assert not machine.complete("part", 2)


def test_slots_serve_in_order_of_asking_for_the_reason_of_who_gives(timeline: Timeline) -> None:
    slots = Slots(timeline, 2, "slots")
    asked = [slots.take() for _ in range(4)]
    assert [one.done for one in asked] == [True, True, False, False]
    timeline.why = 7
    slots.give()
    assert [one.done for one in asked] == [True, True, True, False]
    assert asked[2].why == 7
    slots.give()
    slots.give()
    assert slots.free == 1


def test_a_machine_has_slots_by_name(timeline: Timeline) -> None:
    machine = Machine(timeline, 3, (0,))
    assert machine.slots("nic", 1) is machine.slots("nic", 1)
    machine.slots("nic", 1).take()
    assert str(machine.slots("nic", 1).take()) == "one of 1 slots 'nic' of machine 3"


def test_a_credit_comes_back_with_the_last_holder(timeline: Timeline) -> None:
    buffer = Buffer(timeline, 2, "experts", "of rank", 0)
    assert [buffer.reserve().done for _ in range(2)] == [True, True]
    third = buffer.reserve()
    buffer.arrived("a", holders=2)
    buffer.release("a")
    assert (third.done, buffer.full) == (False, 2)
    buffer.release("a")
    assert (third.done, buffer.full) == (True, 2)
    assert str(buffer.reserve()) == "a credit of buffer experts of rank 0"


def test_an_arrival_may_be_awaited_before_and_after(timeline: Timeline) -> None:
    buffer = Buffer(timeline, 1, "experts")
    before = buffer.arrival("a")
    buffer.reserve()
    timeline.why = 4
    buffer.arrived("a")
    assert (before.done, before.why, buffer.arrival("a").done) == (True, 4, True)
    buffer.release("a")
    assert not buffer.arrival("a").done  # gone: the next arrival is another one


def test_what_is_kept_gives_its_credit_back_and_stays(timeline: Timeline) -> None:
    buffer = Buffer(timeline, 1, "experts")
    buffer.reserve()
    buffer.arrived("a")
    buffer.release("a", keep=True)
    assert (buffer.full, buffer.arrival("a").done) == (0, True)
    buffer.release("a", keep=True)  # in backward
    assert buffer.full == 0
    buffer.clear()
    assert not buffer.arrival("a").done


def test_misuse_of_a_buffer_is_told(timeline: Timeline) -> None:
    buffer = Buffer(timeline, 2, "experts", "of rank", 0)
    with pytest.raises(PolicyError, match=r"without a credit for it.* in buffer experts of rank 0"):
        buffer.arrived("a")
    with pytest.raises(PolicyError, match="a is let go of, and nobody holds it in buffer experts of rank 0"):
        buffer.release("a")
    buffer.reserve()
    buffer.reserve()
    with pytest.raises(PolicyError, match="held by 0"):
        buffer.arrived("a", holders=0)
    buffer.arrived("a")
    with pytest.raises(PolicyError, match="a arrived a second time"):
        buffer.arrived("a")


def test_a_signal_is_an_activity(timeline: Timeline) -> None:
    assert isinstance(Slots(timeline, 1, "x").take(), Activity)
