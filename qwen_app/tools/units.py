"""Unit conversion for the tools tab."""

from __future__ import annotations

# Each unit in terms of the first of its kind.
KINDS: dict[str, dict[str, float]] = {
    "length": {
        "m": 1.0,
        "km": 1000.0,
        "cm": 0.01,
        "mm": 0.001,
        "mi": 1609.344,
        "yd": 0.9144,
        "ft": 0.3048,
        "in": 0.0254,
        "nmi": 1852.0,
    },
    "mass": {"kg": 1.0, "g": 0.001, "mg": 1e-6, "t": 1000.0, "lb": 0.45359237, "oz": 0.028349523125, "jin": 0.5},
    "time": {"s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0, "d": 86_400.0, "week": 604_800.0},
    "volume": {"l": 1.0, "ml": 0.001, "m3": 1000.0, "gal": 3.785411784, "qt": 0.946352946, "cup": 0.2365882365},
    "area": {"m2": 1.0, "km2": 1e6, "ha": 10_000.0, "ft2": 0.09290304, "acre": 4046.8564224, "mu": 2000 / 3},
    "speed": {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704, "kn": 1852 / 3600},
    "data": {
        "B": 1.0,
        "kB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
        "TB": 1e12,
        "bit": 0.125,
        "KiB": 1024.0,
        "MiB": 1024.0**2,
        "GiB": 1024.0**3,
        "TiB": 1024.0**4,
    },
}
# Degrees are an offset apart: a unit is (factor, offset) to kelvin.
TEMPERATURES: dict[str, tuple[float, float]] = {"K": (1.0, 0.0), "C": (1.0, 273.15), "F": (5 / 9, 459.67 * 5 / 9)}

UNITS = tuple(unit for kind in KINDS.values() for unit in kind) + tuple(TEMPERATURES)


def convert(value: float, source: str, target: str) -> float:
    """``value`` of unit ``source`` in unit ``target``. Raises ValueError with a sentence when that makes no sense."""
    for unit in (source, target):
        if unit not in UNITS:
            raise ValueError(f"Unknown unit {unit!r}. Known are {', '.join(UNITS)}.")
    if source in TEMPERATURES and target in TEMPERATURES:
        factor, offset = TEMPERATURES[source]
        target_factor, target_offset = TEMPERATURES[target]
        return (value * factor + offset - target_offset) / target_factor
    for units in KINDS.values():
        if source in units and target in units:
            return value * units[source] / units[target]
    raise ValueError(f"{source} and {target} do not measure the same thing.")
