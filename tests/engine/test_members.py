"""Members of a collective: who is simulated, and which collectives are alike on all machines."""

from __future__ import annotations

import numpy as np
import pytest

from janus_sim.engine.members import Members
from janus_sim.errors import InputError

TWO_BY_TWO = (0, 1, 2, 3)


def test_all_are_simulated_where_machines_are_not_folded() -> None:
    members = Members((3, 1), alive=4)
    assert (members.ranks_here, members.turns, members.image.tolist()) == ((3, 1), 1, [0, 1])


def test_members_of_one_machine_only_are_no_images() -> None:
    with pytest.raises(InputError, match="other members on some machines"):
        Members((0, 1, 2), alive=2)
    with pytest.raises(InputError, match="other members"):
        Members((0, 3), alive=2)


def test_of_a_ring_the_flows_that_leave_the_first_machine_are_simulated() -> None:
    source, target, sizes = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 0]), np.array([6, 6, 6, 6])
    found = Members(TWO_BY_TWO, alive=2).sent_here(source, target, sizes)
    assert [column.tolist() for column in found] == [[0, 1], [1, 2], [6, 6]]


@pytest.mark.parametrize(
    ("source", "target", "sizes"),
    [
        ([0], [2], [6]),
        ([0, 2], [2, 3], [6, 6]),
        ([0, 2], [2, 0], [6, 5]),
        ([0, 2, 1, 3], [2, 2, 2, 2], [1] * 4),
    ],
    ids=["only the first sends", "one sends inside", "other sizes", "all send to one"],
)  # fmt: skip
def test_flows_that_differ_from_machine_to_machine_are_refused(
    source: list[int], target: list[int], sizes: list[int]
) -> None:
    with pytest.raises(InputError, match="differ from machine to machine"):
        Members(TWO_BY_TWO, alive=2).sent_here(np.array(source), np.array(target), np.array(sizes))


def test_a_table_must_be_that_of_the_first_machine_turned() -> None:
    members = Members((0, 1, 2), alive=1)
    members.check(np.array([[0, 1, 2], [2, 0, 1], [1, 2, 0]]))
    with pytest.raises(InputError, match="different sizes"):
        members.check(np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0]]))
