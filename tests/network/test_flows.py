"""The incremental form: told the time, it stops where a group becomes empty, and counts bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.network import Flows, finish_times


def test_it_stops_at_the_first_group_that_becomes_empty() -> None:
    flows = Flows([10.0])
    first = flows.groups(2)
    flows.add([[0], [0]], [10.0, 30.0], groups=[[first, -1], [first + 1, -1]])
    assert flows.next_end() == 2.0
    time, ended = flows.advance(100.0)
    assert (time, ended.tolist()) == (2.0, [first])
    time, ended = flows.advance(100.0)
    assert (time, ended.tolist()) == (4.0, [first + 1])
    assert flows.in_flight == 0
    assert flows.next_end() == np.inf


def test_a_flow_in_two_groups_holds_both() -> None:
    flows = Flows([10.0, 10.0])
    first = flows.groups(2)
    flows.add([[0], [1]], [10.0, 20.0], groups=[[first, first + 1], [first + 1, -1]])
    assert flows.advance(np.inf)[1].tolist() == [first]
    assert flows.advance(np.inf)[1].tolist() == [first + 1]


def test_it_runs_through_ends_that_nobody_waits_for() -> None:
    flows = Flows([10.0])
    group = flows.groups(1)
    flows.add([[0], [0]], [10.0, 30.0], groups=[[-1, -1], [group, -1]])
    time, ended = flows.advance(np.inf)
    assert (time, ended.tolist()) == (4.0, [group])


def test_the_last_flow_of_a_group_and_the_link_that_held_it() -> None:
    flows = Flows([10.0, 4.0])
    group = flows.groups(1)
    ids = flows.add([[0, -1], [0, 1]], [6.0, 8.0], groups=[[group, -1], [group, -1]])
    flows.advance(np.inf)
    assert flows.group_last(group) == (ids[1], 1)


def test_a_flow_held_by_its_own_cap_names_no_link() -> None:
    flows = Flows([10.0])
    group = flows.groups(1)
    flows.add([[0]], [10.0], rate_cap=[5.0], groups=[[group, -1]])
    assert flows.advance(np.inf)[0] == 2.0
    assert flows.group_last(group)[1] == -1


def test_capacity_may_change_on_the_way() -> None:
    flows = Flows([10.0])
    flows.add([[0]], [20.0])
    flows.advance(1.0)
    flows.set_capacity(0, 5.0)
    assert flows.next_end() == 3.0


def test_links_count_bytes_and_busy_time() -> None:
    flows = Flows([10.0, 10.0])
    flows.add([[0, 1], [0, -1]], [10.0, 10.0], starts=[0.0, 5.0])
    flows.advance(10.0)
    assert flows.carried.tolist() == [20.0, 10.0]
    assert flows.busy.tolist() == [2.0, 1.0]


def test_the_series_holds_the_same_bytes_and_its_bins_widen() -> None:
    flows = Flows([10.0], bins=4, bin_width=1.0)
    flows.add([[0], [0]], [10.0, 10.0], starts=[0.0, 6.0])
    flows.advance(8.0)
    series, width = flows.series()
    assert width == 2.0
    assert series.tolist() == [[10.0, 0.0, 0.0, 10.0]]


def test_time_does_not_run_backwards() -> None:
    flows = Flows([10.0])
    flows.advance(5.0)
    with pytest.raises(InputError, match="already"):
        flows.advance(4.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 50), st.integers(0, 8)), max_size=14
    )
)
def test_told_one_by_one_it_gives_the_times_of_the_function(rows: list[tuple[int, int, int, int]]) -> None:
    """Flows added when they start, the network run up to each start, end as in one call of the function."""
    rows = sorted(rows, key=lambda row: row[3])
    capacity = [3.0, 5.0, 7.0, 2.0]
    routes = np.array([[a, b if b != a else -1] for a, b, _, _ in rows], dtype=np.int32).reshape(-1, 2)
    sizes, starts = [float(row[2]) for row in rows], [float(row[3]) for row in rows]
    flows, ends = Flows(capacity), {}
    first = flows.groups(len(rows))

    def run(until: float) -> None:
        while True:
            time, ended = flows.advance(until)
            ends.update(dict.fromkeys(ended.tolist(), time))
            if not len(ended):
                return

    for index, (route, size, start) in enumerate(zip(routes, sizes, starts, strict=True)):
        run(start)
        flows.add_one(route, size, start, np.inf, 1.0, 0, first + index, -1)
    run(1e9)
    found = [ends[first + index] for index in range(len(rows))]
    np.testing.assert_allclose(found, finish_times(capacity, routes, sizes, starts=starts), rtol=1e-9)
    np.testing.assert_allclose(
        flows.carried.sum(), sum(s * (r >= 0).sum() for s, r in zip(sizes, routes, strict=True))
    )


def test_flows_of_one_route_end_in_the_order_of_their_sizes_whenever_they_come() -> None:
    """Forty flows of one route: the k-th smallest ends when it and the shares of the larger are done."""
    sizes = np.random.default_rng(3).permutation(40) + 1.0
    ends = finish_times([1.0], np.zeros((40, 1), dtype=np.int32), sizes)
    ranked = np.sort(sizes)
    expected = np.cumsum(np.diff(ranked, prepend=0.0) * np.arange(40, 0, -1))
    np.testing.assert_allclose(ends[np.argsort(sizes)], expected, rtol=1e-12)


def test_a_late_flow_joins_its_bundle_and_overtakes() -> None:
    """The second comes at 1 s with 2 bytes, when the first has 9 left, and is over at 5 s."""
    assert finish_times([1.0], [[0], [0]], [10.0, 2.0], starts=[0.0, 1.0]).tolist() == [12.0, 5.0]


def test_a_route_may_cross_a_link_twice_and_weighs_twice_there() -> None:
    ends = finish_times([6.0], [[0, 0], [0, -1]], [4.0, 8.0])
    assert ends.tolist() == pytest.approx([2.0, 2.0 + 4.0 / 6.0])


def test_flows_over_a_link_that_is_stopped_wait_without_an_end() -> None:
    flows = Flows([1.0])
    flows.add([[0]], [4.0])
    flows.advance(1.0)
    flows.set_capacity(0, 0.0)
    assert flows.next_end() == np.inf
    assert flows.advance(9.0)[0] == 9.0
    assert flows.in_flight == 1
    flows.set_capacity(0, 1.0)
    assert flows.next_end() == 12.0
