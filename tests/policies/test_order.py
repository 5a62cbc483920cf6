"""Which expert first: pure functions, and what they promise for any cluster."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from janus_sim.policies.order import by_home, by_machine_and_nic, staggered, within


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_every_expert_has_one_place(machines: int, gpus: int, each: int) -> None:
    homes = [rank for rank in range(machines * gpus) for _ in range(each)]
    for rank in range(machines * gpus):
        first = rank - rank % gpus
        own, internal, external = by_home(rank, homes, range(first, first + gpus))
        assert sorted(own + internal + external) == list(range(len(homes)))
        assert len(own) == each
        assert len(internal) == each * (gpus - 1)


@given(st.integers(2, 8), st.integers(1, 3))
def test_no_owner_is_mobbed(gpus: int, each: int) -> None:
    """At any place in the order, each GPU of a machine wants an expert of another owner."""
    homes = [rank for rank in range(gpus) for _ in range(each)]
    orders = []
    for rank in range(gpus):
        _, internal, _ = by_home(rank, homes, range(gpus))
        orders.append(staggered(rank, homes, range(gpus), internal))
    for place in range((gpus - 1) * each):
        owners = Counter(homes[order[place]] for order in orders)
        assert set(owners.values()) == {1}


@given(st.integers(2, 5), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_nics_take_turns_and_machines_begin_elsewhere(machines: int, gpus: int, nics: int, each: int) -> None:
    homes = [rank for rank in range(machines * gpus) for _ in range(each)]

    def machine_of(rank: int) -> int:
        return rank // gpus

    def nic_of(rank: int) -> int:
        return rank % gpus * nics // gpus

    used = len({nic_of(rank) for rank in range(gpus)})
    for here in range(machines):
        external = by_home(-1, homes, range(here * gpus, (here + 1) * gpus))[2]
        order = by_machine_and_nic(here, machines, homes, external, machine_of, nic_of)
        assert sorted(order) == list(external)
        assert len({nic_of(homes[expert]) for expert in order[:used]}) == used
        assert machine_of(homes[order[0]]) == (here + 1) % machines


def test_members_of_a_group_keep_their_order() -> None:
    assert within((3, 2, 1), (1, 2)) == (2, 1)
    assert within((0, 1), (5, 6)) == ()
