"""Rows of the table of tasks: whole blocks are used again, and none that is still needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from janus_sim.engine.belt.rows import Rows


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), st.booleans()), max_size=12))
def test_a_row_is_in_one_living_block_at_most(blocks: list[tuple[list[int], bool]]) -> None:
    rows, end, alive = Rows(), 0, set[int]()

    def over(first: int, count: int) -> bool:
        return not alive & set(range(first, first + count))

    for counts, stays in blocks:
        with rows.block(over):
            taken: set[int] = set()
            for count in counts:
                first = rows.take(count, end)
                assert not (alive | taken) & set(range(first, first + count))
                taken |= set(range(first, first + count))
                end = max(end, first + count)
        alive |= taken if stays else set()


def test_neighbours_that_are_free_make_one_room() -> None:
    rows = Rows()
    for first in (0, 5):
        with rows.block(lambda first, count: False):
            assert rows.take(5, first) == first
    with rows.block(lambda first, count: True):
        assert rows.take(10, 10) == 0


def test_outside_a_block_rows_are_new() -> None:
    rows = Rows()
    with rows.block(lambda first, count: True):
        rows.take(5, 0)
    assert rows.take(5, 5) == 5
