"""Groups are contiguous, and replicas share a position."""

from __future__ import annotations

import pytest

from janus_sim.workload.layout import Layout


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
