"""Groups are contiguous or one of each machine, and replicas share a position."""

from __future__ import annotations

import pytest

from janus_sim.errors import InputError
from janus_sim.workload.layout import Layout
from janus_sim.workload.workload import Workload


def test_two_groups_of_two() -> None:
    layout = Layout(world=4, ep=2)
    assert layout.groups == ((0, 1), (2, 3))
    assert [layout.group_of(rank) for rank in range(4)] == [0, 0, 1, 1]
    assert [layout.position_of(rank) for rank in range(4)] == [0, 1, 0, 1]
    assert layout.replicas_of(1) == layout.replicas_of(3) == (1, 3)


def test_one_group_has_no_replicas() -> None:
    layout = Layout(world=4, ep=4)
    assert layout.groups == ((0, 1, 2, 3),)
    assert layout.replicas_of(2) == (2,)


@pytest.mark.parametrize(("world", "ep"), [(4, 3), (0, 1), (4, 0), (2, 4)])
def test_uneven_groups_are_refused(world: int, ep: int) -> None:
    with pytest.raises(ValueError, match="ep"):
        Layout(world=world, ep=ep)


def test_a_rank_outside_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 4"):
        Layout(world=4, ep=2).group_of(4)


def test_groups_across_have_one_rank_of_each_machine() -> None:
    layout = Layout(world=6, ep=3, across=True)
    assert layout.groups == ((0, 2, 4), (1, 3, 5))
    for rank in range(6):
        assert layout.groups[layout.group_of(rank)][layout.position_of(rank)] == rank
    assert layout.replicas_of(3) == (2, 3)


def test_across_is_refused_for_any_other_number_of_ranks() -> None:
    about = {"base": "mixtral_8x7b", "parallel": {"ep": 4, "ep_order": "across"}}
    with pytest.raises(InputError, match=r"parallel\.ep_order.*each of the 8 machines; write ep: 8, not 4"):
        Workload.load(about, world=64, width=8)
    with pytest.raises(InputError, match="equally many GPUs"):
        Workload.load({**about, "parallel": {"ep": 8, "ep_order": "across"}}, world=64)
