"""Values as people read them: units, mappings and thresholds of Grafana's field configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboards.preview.model import SHANGHAI

# Size and name of a unit of time, and from which length on it is used: a legal limit of 24 h is
# read in hours, so days start at two.
_DURATIONS = (
    (86_400_000, "d", 2 * 86_400_000),
    (3_600_000, "h", 3_600_000),
    (60_000, "min", 60_000),
    (1000, "s", 1000),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A value in words; `colour` is None where it is plain; `missing` where there is none."""

    text: str
    colour: str | None = None
    missing: bool = False


def show(value: Any, look: Mapping[str, Any]) -> Shown:
    """Return a value as its field configuration says."""
    if value is None or value != value:  # NaN: Grafana shows it as no value, too
        return Shown(str(look.get("noValue", "")), missing=True)
    if mapped := _mapped(value, look):
        return mapped
    text = _with_unit(value, str(look.get("unit", "")), look.get("decimals"))
    return Shown(text, _colour(value, look))


def _mapped(value: Any, look: Mapping[str, Any]) -> Shown | None:
    key = str(value) if isinstance(value, (int, str)) else None
    for mapping in look.get("mappings", ()):
        if mapping["type"] == "value" and key in mapping["options"]:
            found = mapping["options"][key]
            return Shown(str(found["text"]), found.get("color"))
    return None


def _colour(value: Any, look: Mapping[str, Any]) -> str | None:
    colour = look.get("color", {})
    if colour.get("mode") == "fixed":
        return str(colour["fixedColor"])
    if colour.get("mode") == "thresholds" and isinstance(value, (int, float)):
        reached = [
            step["color"]
            for step in look["thresholds"]["steps"]
            if step["value"] is None or value >= step["value"]
        ]
        return str(reached[-1])
    return None


def _with_unit(value: Any, unit: str, decimals: int | None) -> str:
    if unit == "dateTimeAsIso":
        return local(value)
    if isinstance(value, datetime):
        return local(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if unit == "percentunit":
        return f"{value * 100:.{2 if decimals is None else decimals}f}%"
    if unit in ("ms", "s"):
        return duration(value * (1000 if unit == "s" else 1))
    if unit == "none":
        return f"{value:g}" if isinstance(value, float) else str(value)
    if decimals is None:
        decimals = 0 if float(value).is_integer() else 2
    return f"{value:,.{decimals}f}"


def local(value: Any) -> str:
    """Return an instant (aware, or milliseconds since the epoch) in Shanghai time."""
    at = value if isinstance(value, datetime) else datetime.fromtimestamp(value / 1000, SHANGHAI)
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def duration(ms: float) -> str:
    """Return milliseconds in the largest unit that suits, with one decimal if need be."""
    for size, name, least in _DURATIONS:
        if abs(ms) >= least:
            return f"{ms / size:.1f} {name}".replace(".0 ", " ")
    return f"{ms:.0f} ms"
