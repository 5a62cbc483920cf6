"""Run the command line as ``python -m janus_sim``."""

from __future__ import annotations

from janus_sim.cli import main

if __name__ == "__main__":
    main()
