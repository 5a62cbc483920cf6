"""Plans are values that compare by homes; traffic turns round."""

from __future__ import annotations

import numpy as np
import pytest

from janus_sim.workload.copies import Plan, Traffic, frozen
from janus_sim.workload.layout import Layout


def test_experts_live_in_contiguous_blocks() -> None:
    plan = Plan.default(Layout(world=4, ep=2), experts=[2, 4])
    assert [home.tolist() for home in plan.homes] == [[0, 1], [0, 0, 1, 1]]


def test_two_experts_change_places_and_back() -> None:
    plan = Plan.default(Layout(world=2, ep=2), experts=[4])
    swapped = plan.swapped(0, 0, 3)
    assert swapped.homes[0].tolist() == [1, 0, 1, 0]
    assert swapped != plan
    assert swapped.moved(plan, 0) == (0, 3)
    assert swapped.swapped(0, 0, 3) == plan
    assert hash(swapped.swapped(0, 0, 3)) == hash(plan)


def test_swapping_within_a_rank_changes_nothing() -> None:
    plan = Plan.default(Layout(world=2, ep=2), experts=[4])
    assert plan.swapped(0, 0, 1) == plan


def test_the_planner_s_time_is_no_part_of_the_plan() -> None:
    plan = Plan.default(Layout(world=2, ep=2), experts=[4])
    assert Plan(plan.homes, seconds=1.0) == plan
    assert plan != "plan"


def test_experts_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(ValueError, match="3 experts"):
        Plan.default(Layout(world=2, ep=2), experts=[3])


def test_nobody_writes_to_a_plan() -> None:
    home = np.array([0, 1])
    plan = Plan((home,))
    home[0] = 1
    assert plan.homes[0].tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        plan.homes[0][0] = 1


def test_traffic_turns_round() -> None:
    traffic = Traffic((0, 1), frozen([[1, 2], [3, 4]]))
    assert traffic.T.bytes[0, 1] == traffic.bytes[1, 0] == 3
    assert traffic.moved == traffic.T.moved == 5
