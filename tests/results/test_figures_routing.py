"""The figure of real routing draws the numbers of its table, against balanced routing."""

from __future__ import annotations

import pandas as pd

from janus_sim.results import figures_routing


def test_lines_are_those_of_the_table() -> None:
    table = pd.DataFrame(
        {
            "policy": ["expert_centric"] * 2,
            "step": [0, 1],
            "step_time_s": [0.1, 0.3],
            "cross_machine_bytes": [1e9] * 2,
        }
    )
    balanced = {"expert_centric": {"step_time_s": 0.1, "cross_machine_bytes": 2e9}}
    figure = figures_routing.draw(table, balanced, [1, 501])
    left, right = figure.axes
    assert [list(map(float, axis)) for axis in left.lines[0].get_data()] == [[1.0, 501.0], [100.0, 300.0]]
    assert list(right.lines[0].get_ydata()) == [1.0, 1.0]
    assert list(right.lines[1].get_ydata()) == [2.0, 2.0]
    assert "expert-centric takes 2.00 times as long (0.50 times the bytes)" in " ".join(
        figure.get_suptitle().split()
    )
