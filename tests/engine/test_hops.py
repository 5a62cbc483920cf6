"""An All-to-All by one, two or three hops: no byte is lost, and how many messages of which size there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.engine.hops import aligned, hops, names, one_leader, windows
from tests.engine.lab import GB
from tests.engine.uniform import alike, exchange, where

PATHS = st.sampled_from(["flat", "1dh", "2dh", "pairwise"])


def off(table: np.ndarray) -> np.ndarray:
    """Without what stays on its GPU."""
    return table * (1 - np.eye(len(table), dtype=np.int64))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), PATHS, st.integers(0, 2**32))
def test_every_byte_leaves_its_machine_once_and_reaches_its_own(
    machines: list[int], path: str, seed: int
) -> None:
    count, at = len(machines), np.array(machines)
    sizes = np.random.default_rng(seed).integers(0, 9, (count, count))
    tables = hops(path, sizes, machines)  # type: ignore[arg-type]
    apart = at[:, None] != at[None, :]
    assert len(tables) == len(names(path, len(tables)))  # type: ignore[arg-type]
    assert sum(int(table[apart].sum()) for table in tables) == sizes[apart].sum()
    for here in set(machines):
        for there in set(machines) - {here}:
            rows, columns = np.flatnonzero(at == here), np.flatnonzero(at == there)
            cut = np.ix_(rows, columns)
            assert sum(table[cut].sum() for table in tables) == sizes[cut].sum()
    held = sizes.sum(axis=1)  # what each holds, hop after hop
    for table in tables:
        moved = off(table)
        held = held - moved.sum(axis=1) + moved.sum(axis=0)
        assert (held >= 0).all()
    assert held.tolist() == sizes.sum(axis=0).tolist()


def test_2dh_sends_few_large_messages() -> None:
    """n = 16: instead of 8 of S/16 to the other machine, 7 of S/8 and one of 8 S/16."""
    size, places = 16 * 8, where(2, 8)
    sizes = np.full((16, 16), 8)
    near, far = aligned(sizes, places)
    assert np.bincount(off(near)[3]).tolist()[1:] == [0] * 15 + [7]  # 7 messages of 16 = S/8
    assert off(far)[3][off(far)[3] > 0].tolist() == [64]
    assert size // 8 == 16


def test_1dh_sends_one_message_a_pair_of_machines() -> None:
    gather, between, scatter = one_leader(np.full((12, 12), 1), where(3, 4))
    assert between[0].tolist() == [0, 0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 0]
    assert not between[1].any()
    assert off(gather)[:4].sum(axis=0)[0] == 3 * (8 + 1)  # with their own for the leader
    assert off(scatter)[0].sum() == 3 * 8


@pytest.mark.parametrize(("machines", "gpus"), [(2, 4), (4, 4), (4, 2)])
def test_2dh_takes_its_two_levels_one_after_another(machines: int, gpus: int) -> None:
    near, far = aligned(alike(machines, gpus, 8), where(machines, gpus))
    assert exchange(near, machines, gpus) == pytest.approx(8 * (gpus - 1) / gpus)
    assert exchange(far, machines, gpus) == pytest.approx(8 * (machines - 1) / machines)


def test_flat_takes_what_leaves_a_nic() -> None:
    (flat,) = hops("flat", alike(2, 4, 8), where(2, 4))
    assert exchange(flat, 2, 4) == pytest.approx(4)  # S (N-1)/N
    assert exchange(flat, 2, 4, nics=1) == pytest.approx(16)


def test_1dh_takes_three_hops_through_one_port() -> None:
    gather, between, scatter = one_leader(alike(2, 4, 8), where(2, 4))
    assert exchange(gather, 2, 4) == pytest.approx(3 * (4 + 1))
    assert exchange(between, 2, 4) == pytest.approx(4 * 4)  # one NIC of four
    assert exchange(scatter, 2, 4) == pytest.approx(3 * 4)


@pytest.mark.parametrize("window", [1, 2, 3, 7, 20])
def test_windows_take_together_what_one_exchange_takes(window: int) -> None:
    rounds = windows(alike(1, 8, 8), window)
    assert len(rounds) == -(-7 // window)
    assert sum(exchange(one, 1, 8) for one in rounds) == pytest.approx(7)
    assert off(alike(1, 8, 8)).tolist() == sum(rounds).tolist()  # type: ignore[union-attr]


def test_skew_makes_windows_slower() -> None:
    """The busiest pair of each round decides it: 5 + 1 + 1, where a port has 5 + 1 + 1 only in one member."""
    sizes = np.full((4, 4), GB)
    sizes[0, 1] = sizes[1, 3] = sizes[2, 1] = 5 * GB
    assert sum(exchange(one, 1, 4) for one in windows(sizes, 1)) > exchange(sizes, 1, 4)


def test_a_wrong_path_or_window_is_told() -> None:
    with pytest.raises(ValueError, match="write flat, 1dh, 2dh or pairwise"):
        hops("3dh", np.ones((1, 1), dtype=np.int64), [0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="write 1 or more"):
        windows(np.ones((1, 1), dtype=np.int64), 0)
