"""Draw uncertainty.png beside this file from docs/uncertainty.csv: `make uncertainty-figure`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd

from janus_sim.results import figures, figures_spread
from janus_sim.results.spread import Spread

DRAWS = 100  #: behind the table, as docs/uncertainty.md tells
HERE = Path(__file__).parent


def main(folder: Path) -> None:
    """Draw the intervals into a folder."""
    nothing = pd.DataFrame()
    found = Spread(DRAWS, pd.read_csv(HERE.parent / "uncertainty.csv"), nothing, nothing)
    with tempfile.TemporaryDirectory() as work:
        figures.write(figures_spread.intervals(found), Path(work) / "uncertainty")
        (folder / "uncertainty.png").write_bytes((Path(work) / "uncertainty.png").read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
