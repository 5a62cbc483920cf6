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
TOUCHED: Final = 9  # lanes in which anything has changed since the last settling
BUSTLE: Final = 10  # flows that joined or left since the last settling
MOVING: Final = 11  # flows past their start
EMPTIED: Final = 12  # groups that emptied in this call
GROUPS: Final = 13  # groups handed out
EVENTS: Final = 14  # instants run through, ever
VISITS: Final = 15  # lanes visited, ever
FILLINGS: Final = 16  # whole fillings, ever
FREE_BLOCK: Final = 20  # first of the free lists of blocks, one for each power of two
HEAD: Final = 60

# clock: float64 of the whole state
NOW: Final = 0
WIDTH: Final = 1  # seconds of one bin of the series

# whole: int64 columns of a flow
ID: Final = 0
GROUP_A: Final = 1
GROUP_B: Final = 2
STATE: Final = 3
OWNER: Final = 4  # the lane that holds it back, -1 its own cap or nothing
PRIORITY: Final = 5
FOLLOWING: Final = 6  # next free slot
HOPS: Final = 7
WHOLE: Final = 8
FREE: Final = 0  # values of STATE
WAITING: Final = 1
RUNNING: Final = 2

# real: float64 columns of a flow
SIZE: Final = 0
WEIGHT: Final = 1
CAP: Final = 2  # rate cap a unit of weight
LEFT_OVER: Final = 3  # bytes a unit of weight left at SINCE; only of flows without an owner
SINCE: Final = 4
FIXED: Final = 5  # in a filling: the level at which it was held, -1 before
COUNTED: Final = 6  # in a filling: its level before
REAL: Final = 8

# lane: int64 columns; a lane is the flows of one priority on one link, the ones that it holds back (its own) first
OWN: Final = 0  # number of its own flows
BELOW: Final = 1  # lane of the next larger priority on the link, -1 none
IS_DIRTY: Final = 2
IS_TOUCHED: Final = 3
RANKING: Final = 4  # the priority
BLOCK: Final = 5  # first pool entry of its flows
COUNT: Final = 6  # number of its flows
STALE: Final = 7  # its own flows have changed since its next end was found
LINK: Final = 8
ABOVE: Final = 9  # lane of the next smaller priority
ROOM: Final = 10  # entries of its block
LANE: Final = 16

# share: float64 columns of a lane
SPARE: Final = 0  # bytes/s that are left for its own flows: AVAILABLE less what the others (foreign ones) use
SLOP: Final = 1  # sum of the changes of SPARE since it was last summed anew
CEILING: Final = 2  # no foreign flow has a level above it
AVAILABLE: Final = 3  # bytes/s that smaller priorities leave
OWN_MASS: Final = 4  # weight of its own flows
UP_TO: Final = 5  # what its own flows have left is known for this time
SHARE: Final = 8

# link: float64 columns
CAPACITY: Final = 0
CARRIED: Final = 1  # bytes of ended flows
BUSY: Final = 2  # seconds with a flow moving, up to BUSY_SINCE
BUSY_SINCE: Final = 3
ACTIVE: Final = 4  # number of flows that move
USE: Final = 5  # bytes/s since WRITTEN
WRITTEN: Final = 6  # the series is written up to here
TOP: Final = 7  # lane of the smallest priority, -1 none
LINKS: Final = 8

# group: int64 columns
MEMBERS: Final = 0  # flows not yet ended
EXPECTED: Final = 1  # of these, flows not yet added
LAST_ID: Final = 2
LAST_LINK: Final = 3
LAST_EVENT: Final = 4
GROUP: Final = 5

# what a compiled call answers
DONE: Final = 0
GROW: Final = -1  # make room and call again
WRONG: Final = -2  # the flow is refused

#: Slots that share one minimum of their next event.
BATCH: Final = 64
#: Bits of a pool entry that hold the hop; the others hold the flow slot.
HOP_BITS: Final = 8
#: Levels closer than this, relatively, are one level.
SAME: Final = 1e-13
#: Events closer than this, relative to the time, are one instant.
INSTANT: Final = 1e-12
#: An event closer than this to the end of a run, relative to the time, is a rounding error away and belongs to it.
ROUNDING: Final = 1e-14
#: A sum is made anew when the changes to it add up to this many times what is left of it.
TIRED: Final = 100.0
