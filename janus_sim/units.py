"""Words to SI floats at the door, and SI floats to words on the way out; no other file multiplies by 1e9."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction

_PREFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_TIMES = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # the micro sign
    "μs": Fraction(1, 10**6),  # the Greek letter
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?)\s*([^\d\s].*)?", re.ASCII)
_BANDWIDTH = re.compile(r"([kKMGTPE]?|[KMGTP]i)(bit|bits|b|B|byte|bytes|Byte|Bytes)(/s|ps)")
_BYTES = re.compile(r"([kKMGTPE]?|[KMGTP]i)(B|byte|bytes|Byte|Bytes)")
_RATE = re.compile(r"([kKMGTPE]?)(FLOP/s|FLOPS|FLOPs|FLOPs/s|flop/s|flops)")


def parse_bandwidth(words: object) -> float:
    """Read a bandwidth, in bytes per second.

    Raises
    ------
    ValueError
        For a bare number, an unknown unit, NaN, zero or less; the message says what to write.

    Examples
    --------
    >>> parse_bandwidth("200 Gbit/s"), parse_bandwidth("200Gbps"), parse_bandwidth("25 GB/s")
    (25000000000.0, 25000000000.0, 25000000000.0)
    """
    number, unit = _split(words, "a bandwidth", "200 Gbit/s")
    match = _BANDWIDTH.fullmatch(unit)
    if match is None:
        prefix = re.match(r"[KMGTP]i|[kKMGTPE]", unit)
        example = f"{float(number):.10g} {prefix[0] if prefix else 'G'}bit/s" if number > 0 else "200 Gbit/s"
        raise ValueError(_refusal(words, "a bandwidth", example))
    if number <= 0:
        raise ValueError(f'{_quote(words)} is not above zero; write a bandwidth like "200 Gbit/s"')
    bits = 1 if match[2].lower().startswith("byte") or match[2] == "B" else 8
    return _scaled(number, Fraction(_scale(match[1]), bits), words)


def parse_time(words: object) -> float:
    """Read a time of zero or more, in seconds.

    Raises
    ------
    ValueError
        For a bare number, an unknown unit, NaN, or less than zero.

    Examples
    --------
    >>> parse_time("50us"), parse_time("1.5 ms")
    (5e-05, 0.0015)
    """
    number, unit = _split(words, "a time", "50 us")
    if unit not in _TIMES:
        raise ValueError(_refusal(words, "a time", "50 us"))
    return _scaled(_not_negative(number, words, "a time", "50 us"), _TIMES[unit], words)


def parse_bytes(words: object) -> float:
    """Read an amount of memory or data of zero or more, in bytes.

    Raises
    ------
    ValueError
        For a bare number, an unknown unit, NaN, or less than zero.

    Examples
    --------
    >>> parse_bytes("80 GB"), parse_bytes("2 GiB")
    (80000000000.0, 2147483648.0)
    """
    number, unit = _split(words, "a number of bytes", "80 GB")
    match = _BYTES.fullmatch(unit)
    if match is None:
        raise ValueError(_refusal(words, "a number of bytes", "80 GB"))
    return _scaled(
        _not_negative(number, words, "a number of bytes", "80 GB"), Fraction(_scale(match[1])), words
    )


def parse_rate(words: object) -> float:
    """Read a rate of computation above zero, in FLOP per second.

    Raises
    ------
    ValueError
        For a bare number, an unknown unit, NaN, zero or less.

    Examples
    --------
    >>> parse_rate("312 TFLOP/s"), parse_rate("19.5 TFLOPS")
    (312000000000000.0, 19500000000000.0)
    """
    number, unit = _split(words, "a rate of computation", "312 TFLOP/s")
    match = _RATE.fullmatch(unit)
    if match is None:
        raise ValueError(_refusal(words, "a rate of computation", "312 TFLOP/s"))
    if number <= 0:
        raise ValueError(f'{_quote(words)} is not above zero; write a rate like "312 TFLOP/s"')
    return _scaled(number, Fraction(_scale(match[1])), words)


def format_time(value: float) -> str:
    """Write seconds in one form, with four digits.

    Examples
    --------
    >>> format_time(5e-5), format_time(0.0123456), format_time(0.0)
    ('50 us', '12.35 ms', '0 s')
    """
    return _written(value, {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}, "s")


def format_bandwidth(value: float) -> str:
    """Write bytes per second in one form, with four digits.

    Examples
    --------
    >>> format_bandwidth(25e9)
    '25 GB/s'
    """
    return _written(value, {"TB/s": 1e12, "GB/s": 1e9, "MB/s": 1e6, "kB/s": 1e3, "B/s": 1.0}, "B/s")


def format_bytes(value: float) -> str:
    """Write bytes in one form, in powers of 1,024, with four digits.

    Examples
    --------
    >>> format_bytes(80 * 2**30), format_bytes(1536)
    ('80 GiB', '1.5 KiB')
    """
    return _written(value, {"TiB": 2.0**40, "GiB": 2.0**30, "MiB": 2.0**20, "KiB": 2.0**10, "B": 1.0}, "B")


def format_rate(value: float) -> str:
    """Write FLOP per second in one form, with four digits.

    Examples
    --------
    >>> format_rate(312e12)
    '312 TFLOP/s'
    """
    return _written(
        value, {"PFLOP/s": 1e15, "TFLOP/s": 1e12, "GFLOP/s": 1e9, "MFLOP/s": 1e6, "FLOP/s": 1.0}, "FLOP/s"
    )


def _split(words: object, what: str, example: str) -> tuple[Fraction, str]:
    """Cut words into a number and a unit."""
    if not isinstance(words, str):
        bare = isinstance(words, int | float) and not isinstance(words, bool)
        why = " has no unit" if bare else f" is not {what}"
        raise ValueError(f'{_quote(words)}{why}; write {what} like "{example}"')
    match = _QUANTITY.fullmatch(words.strip()) if len(words) < 100 else None
    if match is None:
        raise ValueError(_refusal(words, what, example))
    if match[2] is None:
        raise ValueError(f'{_quote(words)} has no unit; write {what} like "{example}"')
    return Fraction(match[1]), match[2].strip()


def _scale(prefix: str) -> int:
    return _BINARY[prefix] if prefix in _BINARY else _PREFIXES[prefix]


def _scaled(number: Fraction, scale: Fraction, words: object) -> float:
    """Multiply exactly and round once, so that ``50 us`` is the float ``5e-05``."""
    try:
        value = float(number * scale)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value) or (value == 0.0 and number != 0):
        raise ValueError(f"{_quote(words)} is out of range")
    return value


def _not_negative(number: Fraction, words: object, what: str, example: str) -> Fraction:
    if number < 0:
        raise ValueError(f'{_quote(words)} is negative; write {what} like "{example}"')
    return number


def _refusal(words: object, what: str, example: str) -> str:
    return f'{_quote(words)} is not {what}; write "{example}"'


def _quote(words: object) -> str:
    """Show what was found, cut to a readable length."""
    text = f'"{words}"' if isinstance(words, str) else repr(words)
    return text if len(text) <= 60 else f'{text[:56]}..."'


def _written(value: float, units: Mapping[str, float], zero: str) -> str:
    """Write with the largest unit that leaves at least one before the point."""
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g} {zero}"
    fitting = [unit for unit, scale in units.items() if abs(value) >= scale * 0.99995]
    unit = fitting[0] if fitting else list(units)[-1]
    scaled = value / units[unit]
    return f"{scaled:.0f} {unit}" if abs(scaled) >= 1e4 else f"{scaled:.4g} {unit}"
