"""The members of a collective: those that are simulated, and the others as their images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from janus_sim.errors import InputError, Mistake

Ints = NDArray[np.int64]


class Members:
    """Who takes part, and who of them is simulated (all, unless machines are alike).

    A member elsewhere is the image of a member here: it joins and leaves when that one does.

    Parameters
    ----------
    ranks : sequence of int
    alive : int
        So many ranks are simulated, from the first on.

    Attributes
    ----------
    here : (p,) int64
        Indices of the members that are simulated.
    ranks_here : tuple of int
        Their ranks.
    image : (n,) int64
        Of each member, the place in `here` of the one whose image it is.
    turn : (n,) int64
        Which image of that one it is, from 0 on: its machine among those of the members.
    turns : int
        How many images each member here has, itself included.

    Raises
    ------
    InputError
        If the members of some machine are not the images of those of another.

    Examples
    --------
    >>> members = Members((0, 1, 8, 9), alive=8)
    >>> members.ranks_here, members.image.tolist(), members.turn.tolist()
    ((0, 1), [0, 1, 0, 1], [0, 0, 1, 1])
    """

    def __init__(self, ranks: Sequence[int], alive: int) -> None:
        every = np.array(ranks, dtype=np.int64)
        self.here: Ints = np.flatnonzero(every < alive)
        self.ranks_here = tuple(every[self.here].tolist())
        place = np.full(alive, -1)
        place[every[self.here]] = np.arange(len(self.here))
        self.image: Ints = place[every % alive]
        machines, turn = np.unique(every // alive, return_inverse=True)
        self.turn: Ints = turn.astype(np.int64)
        self.turns = len(machines)
        many = np.bincount(self.image[self.image >= 0], minlength=len(self.here))
        if (self.image < 0).any() or (many != self.turns).any():
            raise InputError(_unlike("a collective has other members on some machines"))

    def sent_here(self, source: Ints, target: Ints, sizes: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the flows that the members here send, of all flows (n,) given by indices of members.

        Raises
        ------
        InputError
            If other machines send or receive otherwise than the first (as in a tree).
        """
        if self.turns == 1:
            return source, target, sizes
        way = (self.image[source], self.image[target], self.turn[source] == self.turn[target], sizes)
        for end in (source, target):
            order = np.lexsort((*way, self.turn[end]))
            counts = np.bincount(self.turn[end], minlength=self.turns)
            if (counts != counts[0]).any() or any(
                (rows != rows[0]).any() for rows in (one[order].reshape(self.turns, -1) for one in way)
            ):
                raise InputError(_unlike("the flows of a collective differ from machine to machine"))
        mine = np.isin(source, self.here)
        return source[mine], target[mine], sizes[mine]

    def check(self, table: Ints) -> None:
        """Refuse sizes (n, n), from member to member, that are not those of the first machine turned."""
        if self.turns == 1:
            return
        turns, width = self.turns, len(self.here)
        order = np.lexsort((self.image, self.turn))
        blocks = table[np.ix_(order, order)].reshape(turns, width, turns, width)
        for turn in range(1, turns):
            if not np.array_equal(np.roll(blocks[turn], -turn, axis=1), blocks[0]):
                raise InputError(_unlike("machines send each other different sizes"))


def _unlike(reason: str) -> Mistake:
    return Mistake("alike", f"machines are not alike: {reason}; leave `alike` out")
