"""Measured values as text; a dash means that a value was not measured."""

from __future__ import annotations


def fixed(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def area(value: float | None) -> str:
    """Of mm2."""
    return "–" if value is None else f"{value:.0f} mm²"


def volume(value: float | None) -> str:
    """Of ml."""
    return "–" if value is None else f"{value:.1f} ml"


def percent(value: float | None, *, digits: int = 0) -> str:
    """Of a share from 0 to 1."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"
