"""The network as a pure function: stories, the twin in exact fractions, the reference, bad input."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.network import finish_times
from tests.twins import maxmin_fractions as twin

ROOT = Path(__file__).resolve().parents[2]


def ends(capacity: Any, routes: Any, sizes: Any, **more: Any) -> list[float]:
    result: list[float] = finish_times(capacity, routes, sizes, **more).tolist()
    return result


def test_one_gigabyte_over_one_gigabyte_a_second_takes_a_second() -> None:
    assert ends([1e9], [[0]], [1e9]) == [1.0]


def test_two_flows_share_and_the_longer_one_goes_on_alone() -> None:
    assert ends([10.0], [[0], [0]], [10.0, 30.0]) == [2.0, 4.0]


def test_a_long_flow_over_two_links_gets_what_the_narrower_leaves() -> None:
    assert ends([10.0, 10.0], [[0, 1], [0, -1], [1, -1]], [10.0, 10.0, 10.0]) == [2.0, 2.0, 2.0]
    assert ends([10.0, 4.0], [[0, 1], [0, -1], [1, -1]], [2.0, 8.0, 2.0]) == [1.0, 1.0, 1.0]


def test_the_smaller_priority_is_served_first_and_the_other_gets_nothing_meanwhile() -> None:
    assert ends([10.0], [[0], [0]], [20.0, 10.0], priority=[0, 1]) == [2.0, 3.0]
    assert ends([10.0], [[0], [0]], [20.0, 10.0], priority=[5, -7]) == [3.0, 1.0]


def test_a_capped_flow_leaves_the_rest_to_the_next_priority() -> None:
    assert ends([10.0], [[0], [0]], [8.0, 12.0], priority=[0, 1], rate_cap=[4.0, np.inf]) == [2.0, 2.0]


def test_weights_are_shares() -> None:
    assert ends([10.0], [[0], [0]], [8.0, 2.0], weight=[4.0, 1.0]) == [1.0, 1.0]


def test_latencies_add_up_and_use_nothing() -> None:
    assert ends([10.0, 10.0], [[0, 1], [0, -1]], [10.0, 20.0], latency=[1.0, 2.0]) == [4.0, 3.0]


def test_a_late_start_takes_its_share_from_then_on() -> None:
    assert ends([10.0], [[0], [0]], [20.0, 10.0], starts=[0.0, 1.0]) == [3.0, 3.0]


def test_nothing_to_send_is_over_at_once() -> None:
    assert ends([10.0], [[0], [-1]], [0.0, 0.0], starts=[2.0, 3.0]) == [2.0, 3.0]


def test_no_flows_at_all() -> None:
    assert ends([10.0], np.zeros((0, 1), dtype=int), []) == []


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """Random networks: caps, weights, priorities, ties, zero sizes, staggered starts, wild capacities."""
    links = draw(st.integers(1, 6))
    count = draw(st.integers(1, 12))
    wild = draw(st.booleans())
    capacities = (
        st.sampled_from([1e-3, 0.5, 3.0, 1e3, 7e8, 25e9, 1e15]) if wild else st.integers(1, 4).map(float)
    )
    sizes = st.one_of(st.sampled_from([0.0, 1.0, 4.0]), st.integers(1, 10**9).map(float))
    flows = range(count)
    return {
        "capacity": [draw(capacities) for _ in range(links)],
        "routes": [
            draw(st.lists(st.integers(0, links - 1), min_size=1, max_size=4, unique=True)) for _ in flows
        ],
        "sizes": [draw(sizes) for _ in flows],
        "starts": [draw(st.sampled_from([0.0, 0.0, 1.0, 2.5])) for _ in flows],
        "weight": [draw(st.sampled_from([1.0, 1.0, 0.25, 3.0])) for _ in flows],
        "rate_cap": [draw(st.sampled_from([np.inf, np.inf, 0.5, 1e6])) for _ in flows],
        "priority": [draw(st.integers(0, 2)) for _ in flows],
    }


@settings(max_examples=200)
@given(networks())
def test_the_twin_in_exact_fractions_agrees(net: dict[str, Any]) -> None:
    hops = max(len(route) for route in net["routes"])
    padded = [route + [-1] * (hops - len(route)) for route in net["routes"]]
    keys = ("starts", "weight", "rate_cap", "priority")
    found = ends(net["capacity"], padded, net["sizes"], **{key: net[key] for key in keys})
    expected = twin.finish_times(
        [Fraction(value) for value in net["capacity"]],
        net["routes"],
        [Fraction(value) for value in net["sizes"]],
        [Fraction(value) for value in net["starts"]],
        [Fraction(value) for value in net["weight"]],
        [None if value == np.inf else Fraction(value) for value in net["rate_cap"]],
        net["priority"],
        instant=Fraction(1, 10**12),
    )
    for one, exact in zip(found, expected, strict=True):
        assert exact is not None
        assert one == pytest.approx(float(exact), rel=1e-9)


def reference() -> list[Path]:
    """The reference finish times beside the measured data; none where they are absent."""
    roots = [Path(os.environ["JANUS_SIM_DATA"]).parent] if "JANUS_SIM_DATA" in os.environ else []
    for root in [*roots, ROOT.parent / "shared"]:
        found = sorted((root / "reference" / "fluid").glob("*.json"))
        if found:
            return found
    return []


@pytest.mark.parametrize("path", reference() or [None], ids=lambda path: path.stem if path else "absent")
def test_the_reference_agrees_to_a_billionth(path: Path | None) -> None:
    if path is None:
        pytest.skip("the reference finish times are not here; set JANUS_SIM_DATA to the folder beside them")
    case = json.loads(path.read_text())
    names = {name: index for index, name in enumerate(case["links"])}
    links, flows = case["links"].values(), case["flows"]
    hops = max(len(flow["route"]) for flow in flows) or 1
    routes = [[names[link] for link in flow["route"]] + [-1] * (hops - len(flow["route"])) for flow in flows]
    found = finish_times(
        [link["bandwidth_Bps"] for link in links],
        routes,
        [flow["size_bytes"] for flow in flows],
        starts=[flow["start_s"] for flow in flows],
        latency=[link["latency_s"] for link in links],
        rate_cap=[flow.get("rate_cap_Bps", np.inf) for flow in flows],
    )
    np.testing.assert_allclose(found, [flow["finish_s"] for flow in flows], rtol=1e-9, atol=0.0)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"sizes": [-1.0]}, "flow 0"),
        ({"sizes": [float("nan")]}, "flow 0"),
        ({"routes": [[1]]}, "link 1"),
        ({"routes": [[-2]]}, "link -2"),
        ({"routes": [[-1]]}, "flow 0"),
        ({"capacity": [0.0]}, "link 0"),
        ({"capacity": [-1.0]}, "link 0"),
        ({"capacity": [float("nan")]}, "link 0"),
        ({"weight": [0.0]}, "flow 0"),
        ({"weight": [-1.0]}, "flow 0"),
        ({"rate_cap": [-1.0]}, "flow 0"),
        ({"rate_cap": [0.0]}, "flow 0"),
        ({"starts": [float("inf")]}, "flow 0"),
        ({"sizes": [1.0, 2.0]}, "2 flows"),
        ({"latency": [-1.0]}, "link 0"),
        ({"latency": [1.0, 2.0]}, "latency"),
        ({"weight": [1.0, 1.0]}, "weight"),
    ],
)
def test_what_cannot_be_is_told_by_name(more: dict[str, Any], word: str) -> None:
    asked = {"capacity": [1.0], "routes": [[0]], "sizes": [1.0], **more}
    with pytest.raises(InputError, match=word):
        finish_times(asked.pop("capacity"), asked.pop("routes"), asked.pop("sizes"), **asked)


def test_who_never_gets_bandwidth_is_told_by_number_and_nothing_hangs() -> None:
    """The first would take 1e310 s, which is no number; the second waits behind it; the third ends."""
    with pytest.raises(InputError) as error:
        finish_times([1e-10, 1.0], [[0], [0], [1]], [1e300, 1.0, 1.0], priority=[0, 1, 0])
    assert [mistake.where for mistake in error.value.mistakes] == ["flow 0", "flow 1"]
    assert "gets no bandwidth" in error.value.mistakes[1].message


def test_a_heavy_flow_that_leaves_takes_its_weight_along_to_the_last_digit() -> None:
    """Kept as a running sum, 1e6 + 20e-6 - 1e6 would be 20e-6 to five digits."""
    ends = finish_times([1.0], [[0]] * 21, [1.0] * 21, weight=[1e6] + [1e-6] * 20)
    assert ends.tolist() == pytest.approx([1.0] + [21.0] * 20, rel=1e-10)
