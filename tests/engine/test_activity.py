"""Activities, alone and together: over once, and why."""

from __future__ import annotations

import pytest

from janus_sim.engine.activity import Activity, All, First
from janus_sim.engine.time import Timeline


@pytest.fixture
def timeline() -> Timeline:
    timeline = Timeline()
    timeline.why = 42  # the cause of the thread that runs now
    return timeline


def three(timeline: Timeline) -> list[Activity]:
    return [Activity(timeline, name) for name in ("one", "two", "three")]


def test_both_is_over_with_the_later_and_for_its_reason(timeline: Timeline) -> None:
    one, two, _ = three(timeline)
    both = one & two
    two.finish(7)
    assert not both.done
    one.finish(8)
    assert (both.done, both.why) == (True, 8)


def test_either_is_over_with_the_sooner_and_for_its_reason(timeline: Timeline) -> None:
    one, two, _ = three(timeline)
    either = one | two
    two.finish(7)
    one.finish(8)
    assert (either.done, either.why) == (True, 7)


def test_what_is_over_already_is_not_waited_for_and_is_no_reason(timeline: Timeline) -> None:
    one, two, _ = three(timeline)
    one.finish(7)
    assert ((one | two).done, (one | two).why) == (True, 42)
    both = one & two
    assert not both.done
    two.finish(9)
    assert both.why == 9
    assert ((one & two).done, (one & two).why) == (True, 42)


def test_all_of_nothing_is_over_at_once(timeline: Timeline) -> None:
    assert All(timeline, []).done


def test_what_is_over_stays_so_whatever_ends_later(timeline: Timeline) -> None:
    one, two, _ = three(timeline)
    first, second = First(timeline, [one, two]), (one | two) & one
    one.finish(1)
    two.finish(2)
    assert (first.why, second.why) == (1, 1)


def test_a_name_tells_what_is_still_to_come(timeline: Timeline) -> None:
    one, two, three_ = three(timeline)
    four = Activity(timeline, "four")
    every = All(timeline, [one, two & three_, four])
    assert str(every) == "one and two and three and 1 more"
    one.finish(0)
    assert str(every) == "two and three and four"
    assert str(two | four) == "two or four"
