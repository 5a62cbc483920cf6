"""Where each number of the fluid state lives: the columns of the flat arrays that the compiled code works on."""

from __future__ import annotations

from typing import Final

# head: int64 counters of the whole state
FLOWS: Final = 0  # flow slots ever used
FREE_FLOW: Final = 1  # first slot of the free list, -1 none
NEXT_ID: Final = 2  # id of the next flow
IN_FLIGHT: Final = 3  # flows added and not yet ended
LANES: Final = 4  # lane slots ever used
FREE_LANE: Final = 5
POOL_TOP: Final = 6  # entries of the pool ever handed out
LARGEST: Final = 7  # entries of the largest block handed out
DIRTY: Final = 8  # lanes waiting for a visit
CHANGED: Final = 9  # lanes whose level this repair has changed
JOINED: Final = 10  # flows that joined since the last repair
LEFT: Final = 11  # flows that left since the last repair
MOVING: Final = 12  # flows past their start
EMPTIED: Final = 13  # groups that emptied in this call
VISITS: Final = 14  # lanes visited, ever
FILLINGS: Final = 15  # whole fillings, ever
GROUPS: Final = 16  # groups handed out
EVENTS: Final = 17  # instants run through, ever
FREE_BLOCK: Final = 20  # first of the free lists of blocks, one for each power of two
HEAD: Final = 60

# clock: float64 of the whole state
NOW: Final = 0
WIDTH: Final = 1  # seconds of one bin of the series
CLOCK: Final = 2

# whole: int64 columns of a flow
ID: Final = 0
GROUP_A: Final = 1
GROUP_B: Final = 2
STATE: Final = 3
HOPS: Final = 4
PRIORITY: Final = 5
FOLLOWING: Final = 6  # next free slot
WHOLE: Final = 8
FREE: Final = 0  # values of STATE
WAITING: Final = 1
RUNNING: Final = 2

# real: float64 columns of a flow
SIZE: Final = 0
LEFT_OVER: Final = 1  # bytes that were left at SINCE
SINCE: Final = 2
RATE: Final = 3  # bytes/s since SINCE
WEIGHT: Final = 4
CAP: Final = 5  # rate cap a unit of weight
LEVEL: Final = 6  # rate a unit of weight
FIXED: Final = 7  # in a filling, the level at which the flow was held; -1 before
REAL: Final = 8

# lane: int64 columns; a lane is the flows of one priority on one link
LINK: Final = 0
RANKING: Final = 1  # the priority
BELOW: Final = 2  # lane of the next larger priority on the link, -1 none
ABOVE: Final = 3  # lane of the next smaller one
BLOCK: Final = 4  # first pool entry of its flows
ROOM: Final = 5  # entries of its block
COUNT: Final = 6  # flows in it
IS_DIRTY: Final = 7
IS_CHANGED: Final = 8
LANE: Final = 9

# share: float64 columns of a lane
AVAILABLE: Final = 0  # bytes/s that smaller priorities leave
USED: Final = 1  # bytes/s that its flows use; while its level is infinite an upper bound
HEAVY: Final = 2  # weight of its flows, to order visits only
BEFORE: Final = 3  # its level before this repair
SHARE: Final = 4

# link: float64 columns
CAPACITY: Final = 0
CARRIED: Final = 1  # bytes of ended flows
BUSY: Final = 2  # seconds with a flow moving, up to BUSY_SINCE
BUSY_SINCE: Final = 3
USE: Final = 4  # bytes/s now, with its rounding error in the next column
USE_ERROR: Final = 5
UP_TO: Final = 6  # the series is written up to here
ACTIVE: Final = 7  # number of flows that move
TOP: Final = 8  # lane of the smallest priority, -1 none
LINKS: Final = 9

# group: int64 columns
MEMBERS: Final = 0  # flows not yet ended
EXPECTED: Final = 1  # of these, flows not yet added
LAST_ID: Final = 2
LAST_LINK: Final = 3
LAST_EVENT: Final = 4
GROUP: Final = 5

# scratch: float64 columns of one visit
OFFER: Final = 0  # lowest level that a flow meets elsewhere, its cap included
SECOND: Final = 1  # the same without the lane of the lowest
LOWEST: Final = 2  # that lane
MASS: Final = 3  # weight of the flow
SCRATCH: Final = 4

# what a compiled call answers
DONE: Final = 0
GROW: Final = -1  # make room and call again
WRONG: Final = -2  # the flow is refused

#: Flow slots that share one minimum of their next event.
BATCH: Final = 64
#: Bits of a pool entry that hold the hop; the others hold the flow slot.
HOP_BITS: Final = 8
#: Levels closer than this, relatively, are one level.
SAME: Final = 1e-13
#: Events closer than this, relative to the time, are one instant.
INSTANT: Final = 1e-12
