"""The compiled belt: pulls and kernels as arrays, run in compiled code beside the network.

Python is entered where a thread waits. The generator text of a policy is the twin of what it puts here.
"""

from __future__ import annotations
