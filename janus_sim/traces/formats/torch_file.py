"""Files of torch.save: tensors, numbers and text are read; one that holds code is refused, not executed."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from janus_sim.traces.arrays import LARGEST_TRACE
from janus_sim.traces.formats.base import refuse


def load(path: Path) -> Any:  # noqa: ANN401
    """Return what a .pt holds, by `torch.load(weights_only=True)`.

    Raises
    ------
    InputError
        Without PyTorch, and for a file that is cut off or holds anything but tensors, numbers and text.
    """
    try:
        import torch
    except ImportError:
        refuse(path, "", "needs PyTorch to be read; install it: pip install janus-sim[torch]")
    if _packed(path):
        refuse(path, "", "holds packed parts, which torch.save never writes")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file of unknown origin makes of it
        text = " ".join(str(error).split())
        named = re.search(r"(GLOBAL|global|class|type|[Oo]perand):? ([\w.\[\]<>']+)", text)
        if "Weights only load failed" in text:
            found = f" ({named[2].rstrip('.')})" if named else ""
            told = f"holds more than tensors, numbers and text{found}"
            refuse(path, "", f"{told}, or is damaged; nothing of it was executed")
        refuse(path, "", f"is not a whole .pt file ({text[:80]})")


def _packed(path: Path) -> bool:
    """Whether parts of a .pt are packed, so that they may unfold to any size."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return False


def whole(path: Path, place: str, value: object, axes: int) -> npt.NDArray[np.int64]:
    """Return a tensor (or an array) of whole numbers with so many axes.

    Raises
    ------
    InputError
        If it is anything else.
    """
    try:
        array = np.asarray(value.cpu().numpy() if hasattr(value, "cpu") else value)
    except Exception as error:  # whatever a value of unknown origin makes of it
        refuse(path, place, f"is no array ({str(error)[:80]}); write whole numbers of {axes} axes")
    if array.size * 8 > LARGEST_TRACE:
        refuse(path, place, f"has {array.size} numbers; at most {LARGEST_TRACE // 8} are read")
    if array.ndim != axes or array.dtype.kind not in "iu" or not array.size:
        refuse(path, place, f"is {array.dtype} of shape {array.shape}; write whole numbers of {axes} axes")
    return array.astype(np.int64)


def slots_hold_experts(path: Path, place: str, table: npt.NDArray[np.int64]) -> None:
    """Refuse a map (layers, slots) that names an expert below 0, or more experts than there are slots.

    Raises
    ------
    InputError
        That names the expert.
    """
    if table.min() < 0 or table.max() >= table.shape[1]:
        most = f"{table.shape[1]} slots hold 0 to {table.shape[1] - 1} at most"
        refuse(path, place, f"names the experts {table.min()} to {table.max()}; {most}")


def logical(physical: npt.NDArray[np.int64], table: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Add up the counts of the copies of each expert.

    Parameters
    ----------
    physical : (n, layers, slots) int64
    table : (layers, slots) int64
        Which expert each slot holds.

    Returns
    -------
    (n, layers, experts) int64

    Examples
    --------
    >>> logical(np.array([[[1, 2, 4]]]), np.array([[0, 1, 0]])).tolist()
    [[[5, 2]]]
    """
    experts = int(table.max()) + 1
    out = np.zeros((*physical.shape[:2], experts), dtype=np.int64)
    for layer, slots in enumerate(table):
        np.add.at(out[:, layer].T, slots, physical[:, layer].T)
    return out
