"""How numbers and names are written in the report. A missing number is a dash, never 0."""

import math
from collections.abc import Callable

from app.evaluate.results import MetricInterval

DASH = "–"
Format = Callable[[float | None], str]


def known(value: float | None) -> bool:
    """Whether there is a finite number to show."""
    return value is not None and math.isfinite(value)


def count(value: float | None) -> str:
    """`42448764` as `42,448,764`."""
    return f"{value:,.0f}" if value is not None and known(value) else DASH


def decimal(value: float | None, digits: int = 2) -> str:
    """`1234.5` as `1,234.50`."""
    return f"{value:,.{digits}f}" if value is not None and known(value) else DASH


def score(value: float | None) -> str:
    """A ranking metric, four decimals."""
    return decimal(value, 4)


def compact(value: float | None) -> str:
    """Three significant digits with a suffix: `1234567` as `1.23M`; for axes and tight labels."""
    if value is None or not known(value):
        return DASH
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def percent(share: float | None) -> str:
    """A share as a percentage; what is not quite none or all is never written as 0% or 100%."""
    if share is None or not known(share):
        return DASH
    if share in (0, 1):
        return f"{share:.0%}"
    if 0.9995 <= share < 1:
        return ">99.9%"
    if abs(share) < 0.0001:
        return "<0.01%"
    return f"{share:.2%}" if abs(share) < 0.1 else f"{share:.1%}"


def percent_tick(share: float | None) -> str:
    """A percentage on an axis, without needless decimals."""
    return DASH if share is None or not known(share) else f"{100 * share:.3g}%"


def interval(metric: MetricInterval) -> str:
    """A bootstrap estimate: `0.1234 (0.1200 to 0.1270)`."""
    return f"{score(metric.mean)} ({score(metric.low)} to {score(metric.high)})"


def stacked(metric: MetricInterval) -> str:
    """A bootstrap estimate over its interval, on two lines, for tables of many."""
    return f"{score(metric.mean)}\n{score(metric.low)}–{score(metric.high)}"


def duration(seconds: float | None) -> str:
    """Seconds below two minutes, minutes and seconds above, hours and minutes above two hours."""
    if seconds is None or not known(seconds):
        return DASH
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def words(name: str) -> str:
    """An identifier as words: `remove_from_cart` as `remove from cart`."""
    return name.replace("_", " ")


def label(name: object, width: int = 28) -> str:
    """A name that fits beside an axis: printable characters only, cut with an ellipsis."""
    printable = "".join(c if c.isprintable() else " " for c in str(name))
    return printable if len(printable) <= width else printable[: width - 1] + "…"
