"""A terminal of a given width, for tests of what a person sees."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def seen(command: list[str], columns: int, cwd: Path) -> list[str]:
    """Run a command on a terminal so wide; return its lines, without colours."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    running = subprocess.Popen(
        command, cwd=cwd, stdin=there, stdout=there, stderr=subprocess.DEVNULL, env=plain | {"TERM": "xterm"}
    )
    os.close(there)
    text = b""
    try:
        while part := os.read(here, 1 << 16):
            text += part
    except OSError:  # the other end was closed
        pass
    os.close(here)
    assert running.wait(timeout=60) == 0
    return ESCAPES.sub("", text.decode()).replace("\r\n", "\n").splitlines()
