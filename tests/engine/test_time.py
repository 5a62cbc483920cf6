"""The clock and its threads: who runs when, what keeps it going, and who waits for ever."""

from __future__ import annotations

import pytest

from janus_sim.engine.time import Activity, Steps, Timeline
from janus_sim.errors import DeadlockError, PolicyError
from janus_sim.network import Flows


def test_threads_run_at_once_up_to_their_first_wait() -> None:
    timeline, told = Timeline(), []

    def nap(name: str, seconds: float) -> Steps:
        told.append((name, timeline.now))
        yield timeline.sleep(seconds)
        told.append((name, timeline.now))

    timeline.start(nap("a", 2.0), "a")
    timeline.start(nap("b", 1.0), "b")
    assert told == [("a", 0.0), ("b", 0.0)]
    timeline.run()
    assert told[2:] == [("b", 1.0), ("a", 2.0)]


def test_a_thread_inside_a_thread_is_waited_for_and_over_when_it_returns() -> None:
    timeline, told = Timeline(), []

    def inner() -> Steps:
        yield timeline.sleep(1.0)

    def outer() -> Steps:
        yield timeline.start(inner(), "inner") & timeline.start(inner(), "inner")
        told.append(timeline.now)

    timeline.start(outer(), "outer")
    timeline.run()
    assert told == [1.0]


def test_what_a_thread_issues_inherits_the_cause_of_what_resumed_it() -> None:
    timeline, seen = Timeline(), []
    signal = Activity(timeline, "signal")

    def listener() -> Steps:
        seen.append(timeline.why)
        yield signal
        seen.append(timeline.why)
        yield timeline.start(child(), "child")
        seen.append(timeline.why)

    def child() -> Steps:
        seen.append(timeline.why)
        yield from ()

    timeline.start(listener(), "listener")
    signal.finish(7)
    timeline.run()
    assert seen == [-1, 7, 7, 7]


def test_starting_a_thread_leaves_the_cause_of_the_one_that_started_it() -> None:
    timeline, seen = Timeline(), []
    done = Activity(timeline, "done")
    done.finish(3)

    def child() -> Steps:
        yield done  # over already: goes on for the reason that it runs for
        seen.append(timeline.why)

    def parent() -> Steps:
        timeline.start(child(), "child")
        seen.append(timeline.why)
        yield from ()

    timeline.why = 5
    timeline.start(parent(), "parent")
    assert seen == [5, 5]
    assert timeline.why == 5


@pytest.mark.parametrize("wrong", [3, None, [], (step for step in ())])
def test_yielding_anything_else_is_told_with_the_name_of_the_thread(wrong: object) -> None:
    timeline = Timeline()

    def story() -> Steps:
        yield wrong  # type: ignore[misc]

    with pytest.raises(PolicyError, match=r"rank 3: yielded .*yield from"):
        timeline.start(story(), "rank", 3)


def test_a_call_that_is_called_off_does_not_come_and_time_does_not_run_on_for_it() -> None:
    timeline, told = Timeline(), []
    late = timeline.after(5.0, lambda _: told.append("late"))
    timeline.after(1.0, lambda _: timeline.call_off(late))
    timeline.run()
    assert (told, timeline.now) == ([], 1.0)


def test_a_change_comes_at_its_time_and_keeps_nothing_alive() -> None:
    timeline, told = Timeline(), []
    for time in (1.0, 3.0):
        timeline.change(time, lambda: told.append(timeline.now))
    timeline.after(2.0, lambda _: None)
    timeline.run()
    assert (told, timeline.now) == ([1.0], 2.0)
    timeline.after(2.0, lambda _: None)  # a next step begins: the change is still to come
    timeline.run()
    assert (told, timeline.now) == ([1.0, 3.0], 4.0)


def test_a_change_at_the_time_of_an_event_comes_before_it() -> None:
    timeline, told = Timeline(), []
    timeline.after(1.0, lambda _: told.append("event"))
    timeline.change(1.0, lambda: told.append("change"))
    timeline.run()
    assert told == ["change", "event"]


def test_flows_move_between_events_and_a_watched_group_is_called_once() -> None:
    flows = Flows([1.0])
    timeline, told = Timeline(flows), []
    group = flows.groups(1)
    timeline.watch(group, lambda: told.append(timeline.now))
    flows.add([[0]], [2.0], groups=[[group, -1]])
    timeline.after(1.0, lambda _: told.append("event"))
    timeline.change(1.5, lambda: flows.set_capacity(0, 0.5))
    timeline.run()
    assert told == ["event", 2.5]


def test_a_deadlock_says_who_waits_for_what() -> None:
    timeline = Timeline()
    never = Activity(timeline, "a credit of buffer experts")

    def story() -> Steps:
        yield timeline.sleep(1.0) & never

    timeline.start(story(), "rank 0 at step 0")
    timeline.start(story(), "rank 1 at step 0")
    with pytest.raises(DeadlockError) as error:
        timeline.run()
    assert error.value.waiting == (
        "rank 0 at step 0 waits for a credit of buffer experts",
        "rank 1 at step 0 waits for a credit of buffer experts",
    )


def test_a_deadlock_leaves_out_threads_that_wait_for_threads() -> None:
    timeline = Timeline()

    def inner() -> Steps:
        yield Activity(timeline, "what never comes")

    def outer() -> Steps:
        yield timeline.start(inner(), "inner") & timeline.sleep(1.0)

    timeline.start(outer(), "outer")
    with pytest.raises(DeadlockError) as error:
        timeline.run()
    assert error.value.waiting == ("inner waits for what never comes",)


def test_a_method_that_yields_nothing_is_named() -> None:
    with pytest.raises(
        PolicyError, match="forward: got None for its steps; a method of a policy has to yield"
    ):
        Timeline().start(None, "forward")  # type: ignore[arg-type]
