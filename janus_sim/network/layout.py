"""Where each number of the fluid state lives: the records that the compiled code works on, and its constants."""

from __future__ import annotations

from typing import Final

import numpy as np

#: Arrays of the state, as `views` opens them: name, and whether it has columns.
ARRAYS: Final = {
    "flow": 1,
    "links": 2,
    "bundle": 1,
    "path": 2,
    "table": 1,
    "lane": 1,
    "link": 1,
    "series": 2,
    "who": 1,
    "entry": 2,
    "crossing": 1,
    "tag": 1,
    "blocks": 1,
    "heads": 1,
    "words": 1,
    "later": 1,
    "turns": 1,
    "due": 1,
    "when": 1,
    "touched": 1,
    "closed": 1,
    "visited": 1,
    "group": 1,
    "emptied": 1,
    "ends": 1,
}

_COUNTERS = [
    "flows",  # slots ever used
    "free_flow",  # first slot of the free list, -1 none
    "next_id",
    "in_flight",  # flows added and not yet ended
    "bundles",
    "free_bundle",
    "lanes",
    "free_lane",
    "pool_top",  # entries of the pool ever handed out
    "largest",  # entries of the largest block handed out
    "dirty",  # lanes waiting for a visit
    "laters",  # of these, lanes of other priorities than the one being repaired
    "repairs",  # 1 during a repair
    "current",  # the priority being repaired
    "lowest_bits",  # of the level of the first bucket
    "shift",  # of bits of levels to their bucket
    "next_spread",  # visits after which the buckets are spread anew
    "touches",  # lanes whose use has changed since the last settling; kept for the series alone
    "closings",  # lanes emptied since the last settling
    "bustle",  # flows that joined or left since the last settling
    "moving",  # flows past their start
    "unshared",  # bundles that nobody owns yet, for a filling will find who does
    "emptying",  # groups that emptied in this call
    "groups",  # groups handed out
    "binned",  # 1 if there is a series
    "events",  # instants run through, ever
    "visits",  # lanes visited, ever
]

#: The whole state: the clock, counters, and of each array where it lies, its rows and its columns.
NET: Final = np.dtype(
    [
        ("now", "f8"),
        ("width", "f8"),  # seconds of one bin of the series
        ("tolerance", "f8"),  # ends within this part of the elapsed time share a settling
        ("hold", "f8"),  # the settling may wait until then; -inf: it may not; NaN: there has been no end
        ("slack", "f8"),  # a lane keeps its level while it is within this part of the exact one
        ("sway", "f8"),  # a bundle changes owners where levels differ by more than this part
        ("busy_from", "f8"),  # when the first of the flows in motion found the network idle
        *[(name, "i8") for name in _COUNTERS],
        *[(name + part, "i8") for name in ARRAYS for part in ("", "_rows", "_columns")],
    ]
)

FLOW: Final = np.dtype(
    [
        ("size", "f8"),  # bytes
        ("weight", "f8"),
        ("cap", "f8"),  # rate cap a unit of weight
        ("key", "f8"),  # what its bundle will have moved a unit of weight when it ends
        ("id", "i8"),
        ("priority", "i8"),
        ("group_a", "i4"),
        ("group_b", "i4"),
        ("bundle", "i4"),
        ("child", "i4"),  # first of the flows that end after it, in its bundle
        ("sibling", "i4"),  # the next of these; of a free slot the next free slot
        ("state", "i4"),
    ],
    align=True,
)
FREE: Final = 0  # values of state
WAITING: Final = 1
RUNNING: Final = 2

#: Running flows of one route, weight, cap and priority: they move alike, and end in the order of their sizes.
BUNDLE: Final = np.dtype(
    [
        ("weight", "f8"),  # of one flow
        ("cap", "f8"),  # rate cap a unit of weight
        ("priority", "i8"),
        (
            "left_over",
            "f8",
        ),  # bytes a unit of weight left to its first flow at `since`; only without an owner
        ("since", "f8"),
        ("counted", "f8"),  # in a filling: its level before
        ("number", "i4"),
        ("owner", "i4"),  # the lane that holds it back, or one of the values below
        ("first", "i4"),  # the flow that ends first
        ("hops", "i4"),
        ("next", "i4"),  # next bundle of its place in the table; of a free slot the next free slot
        ("place", "i4"),  # in the table
    ],
    align=True,
)
CAP: Final = -1  # values of an owner that is no lane: its own rate cap
NOBODY: Final = -2  # not shared out yet
UNFIXED: Final = -3  # in a filling: not yet

#: The bundles of one priority on one link, the ones that it holds back (its own) first.
LANE: Final = np.dtype(
    [
        ("spare", "f8"),  # bytes/s left for its own: available less what the others (foreign ones) use
        ("slop", "f8"),  # sum of the changes of spare since it was last summed anew
        ("level", "f8"),  # bytes/s a unit of weight of its own; infinite while it has none
        ("ceiling", "f8"),  # no foreign bundle has a level above it
        ("own_mass", "f8"),  # weight of its own
        ("own", "i4"),  # number of its own
        ("below", "i4"),  # lane of the next larger priority on the link, -1 none
        ("next_marked", "i4"),  # in its bucket
        ("count", "i4"),  # number of its bundles
        ("is_dirty", "i1"),
        ("is_touched", "i1"),
        ("doubled", "i1"),  # some route may cross the link twice
        ("late", "i1"),  # its next end must be found anew
        ("kind", "i1"),  # its block has 2**kind entries
        # the second cache line
        ("available", "f8"),  # bytes/s that smaller priorities leave
        ("service", "f8"),  # bytes a unit of weight that its own have moved since its beginning, at `up_to`
        ("up_to", "f8"),
        ("least", "f8"),  # the least tag of its own, NaN unknown
        ("low_cap", "f8"),  # no own bundle has a cap below it
        ("worn", "f8"),  # sum of own_mass before and after each change since its own were weighed
        ("block", "i8"),  # first pool entry
        ("ranking", "i8"),  # the priority
        ("above", "i4"),  # lane of the next smaller priority, -1 none
        ("link", "i4"),
    ],
    align=True,
)

#: A bundle in one of its lanes, once for each other lane of its route.
ENTRY: Final = np.dtype(
    [
        (
            "mass",
            "f8",
        ),  # its weight in this lane, twice that of its flows where its route crosses the link twice
        ("other", "i4"),  # the other lane; -1: its route has no more
        ("keeper", "i4"),  # its owner; in the first of its rows
    ],
    align=True,
)

LINK: Final = np.dtype(
    [
        ("capacity", "f8"),
        ("carried", "f8"),  # bytes of ended flows
        ("busy", "f8"),  # seconds with a flow moving, up to busy_since
        ("busy_since", "f8"),
        ("use", "f8"),  # bytes/s since `written`
        ("written", "f8"),  # the series is written up to here
        ("active", "i4"),  # number of bundles that move
        ("top", "i4"),  # lane of the smallest priority, -1 none
        ("expected", "i4"),  # flows that are about to be added
    ],
    align=True,
)

GROUP: Final = np.dtype(
    [
        ("members", "i8"),  # flows not yet ended
        ("expected", "i8"),  # of these, flows not yet added
        ("last_id", "i8"),
        ("last_link", "i8"),
        ("last_event", "i8"),
    ]
)

#: A row of a heap.
TURN: Final = np.dtype([("key", "f8"), ("item", "i8")])

# what a compiled call answers
DONE: Final = 0
GROW: Final = -1  # make room and call again
WRONG: Final = -2  # the flow is refused

#: Buckets of the lanes that wait for a visit; a word of 64 bits has a bit for each 64.
BUCKETS: Final = 4096
#: Levels closer than this, relatively, are one level.
SAME: Final = 1e-13
#: Events closer than this, relative to the time, are one instant.
INSTANT: Final = 1e-12
#: An event closer than this to the end of a run, relative to the time, is a rounding error away and belongs to it.
ROUNDING: Final = 1e-14
#: A sum is made anew when the changes to it add up to this many times what is left of it.
TIRED: Final = 100.0
#: A weight is summed anew when what it was at its changes adds up to this many times what it is.
WORN: Final = 64.0
#: A running sum of bytes may grow to this many times what is compared with it, before it begins anew.
GROWN: Final = 64.0
#: A running sum may be this many times what is added to it, before it begins anew.
DWARFED: Final = 1e4
