"""Drawing: data to matplotlib figures, one function a kind of chart, used inside `theme.style()`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from app.report.hover import answer_column, answer_row
from app.report.text import Format, compact, count, known, label, percent_tick
from app.report.theme import BLUE, GREY, INK, MUTED

WIDTH, WIDE = 6.2, 12.8  # inches: half and full width of the page
FULL = 120  #: letters of a name that was cut in the drawing


@dataclass(frozen=True)
class Panel:
    """One set of bars: axis title with its unit, a value and a printed text per bar.

    `exact`: what a bar answers when it is pointed at, where its text is short of that.
    """

    axis: str
    values: Sequence[float | None]
    texts: Sequence[str]
    tick: Format = compact
    colours: str | Sequence[str] = BLUE
    exact: Sequence[str] = ()


@dataclass(frozen=True)
class Line:
    """One line: its name, colour and values."""

    name: str
    values: Sequence[float | None]
    colour: str


@dataclass(frozen=True)
class Dot:
    """An estimate with its interval; None where it was not measured."""

    mean: float | None
    low: float | None
    high: float | None
    colour: str = BLUE


def bars(
    names: Sequence[str], panels: Sequence[Panel], columns: int | None = None, room: float | None = None
) -> Figure:
    """Horizontal bars, one row a name, with each value printed at its bar's end; zero is always shown.

    Parameters
    ----------
    names
        Top to bottom.
    panels
        Side by side, sharing the names.
    columns
        Panels in a row; default all of them.
    room
        Space for the printed texts, as a share of the longest bar.
    """
    across = columns or len(panels)
    down = -(-len(panels) // across)
    height = down * (0.75 + 0.27 * len(names))
    figure = Figure(figsize=(WIDTH if across < 3 else WIDE, max(height, 1.5)))
    axes = figure.subplots(down, across, sharey=True, squeeze=False)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        _bars(axis, names, panel, room if room is not None else 0.3)
    return figure


def _bars(axis: Axes, names: Sequence[str], panel: Panel, room: float) -> None:
    values = [value if value is not None and known(value) else 0.0 for value in panel.values]
    rows = range(len(names))
    axis.barh(rows, values, height=0.68, color=panel.colours)
    longest = max([*values, 0.0])
    for row, (value, text) in enumerate(zip(values, panel.texts, strict=True)):
        place = max(value, 0.0)
        axis.annotate(text, (place, row), xytext=(4, 0), textcoords="offset points", va="center_baseline", fontsize=8.5)
    for row, (name, text) in enumerate(zip(names, panel.exact or panel.texts, strict=True)):
        answer_row(axis, row - 0.5, 1.0, label(name, FULL), f"{panel.axis}: {text}")
    axis.set_xlim(min([*values, 0.0]) * 1.1, longest * (1 + room) or 1.0)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_yticks(rows, [label(name, 40) for name in names])
    axis.tick_params(axis="y", labelcolor=INK)
    axis.xaxis.set_major_locator(MaxNLocator(4))
    if panel.tick is percent_tick and longest <= 1:  # room for the texts is no share
        axis.set_xticks([tick for tick in axis.get_xticks() if tick <= 1])
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: panel.tick(value)))
    axis.grid(axis="x")
    axis.set_xlabel(panel.axis)
    axis.spines["bottom"].set_visible(False)


def columns(
    names: Sequence[str],
    values: Sequence[float],
    x: str,
    y: str,
    tick: Format = compact,
    colours: str | Sequence[str] = BLUE,
) -> Figure:
    """Vertical bars over ordered names, such as counts of 1, 2, 3."""
    figure = Figure(figsize=(WIDTH, 2.9))
    axis = figure.subplots()
    axis.bar(range(len(names)), values, width=0.8, color=colours)
    step = -(-len(names) // 20)
    axis.set_xticks(range(0, len(names), step), list(names)[::step])
    if max(map(len, names)) > 4:
        axis.tick_params(axis="x", rotation=30)
    axis.set_xlim(-0.6, max(len(names), 6) - 0.4)
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        answer_column(axis, place - 0.5, 1.0, f"{x}: {name}", f"{y}: {tick(value)}")
    _upright(axis, x, y, tick)
    return figure


def histogram(
    lows: Sequence[float], highs: Sequence[float], values: Sequence[float], x: str, y: str, beyond: bool = False
) -> Figure:
    """Bars over the bins [low, high) of a measured axis.

    Parameters
    ----------
    beyond
        The last bar also holds what lies above it, and is drawn grey.
    """
    figure = Figure(figsize=(WIDTH, 2.9))
    axis = figure.subplots()
    span = max(highs) - min(lows)
    widths = [(high - low) * 0.94 if span else 1.0 for low, high in zip(lows, highs, strict=True)]
    colours = [BLUE] * (len(values) - 1) + [GREY if beyond else BLUE]
    axis.bar(lows, values, width=widths, align="edge" if span else "center", color=colours)
    for number, (low, high, value) in enumerate(zip(lows, highs, values, strict=True)):
        last = beyond and number == len(values) - 1
        until = "and above" if last else f"to {compact(high)}"
        left, width = (low, high - low) if span else (low - 0.5, 1.0)
        answer_column(axis, left, width, f"{x}: {compact(low)} {until}", f"{y}: {count(value)}")
    if not span:  # one bin without width: keep its bar from filling the chart
        axis.set_xlim(lows[0] - 4, lows[0] + 4)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    _upright(axis, x, y, compact)
    return figure


def _upright(axis: Axes, x: str, y: str, tick: Format) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    axis.grid(axis="y")
    axis.spines["left"].set_visible(False)


def lines(ticks: Mapping[int, str], series: Sequence[Line], x: str, y: str, tick: Format) -> Figure:
    """Lines over one axis, each named at its right end's height in a legend.

    Parameters
    ----------
    ticks
        Position → text on the horizontal axis.
    """
    figure = Figure(figsize=(WIDTH, 3.1))
    axis = figure.subplots()
    for line in series:
        _line(axis, line, width=2.0)
    for place in range(max(len(line.values) for line in series)):
        each = [f"{line.name}: {tick(line.values[place])}" for line in series]
        answer_column(axis, place - 0.5, 1.0, f"{x}: {place}", *each)
    axis.set_xticks(list(ticks), list(ticks.values()))
    _upright(axis, x, y, tick)
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8.5, handlelength=1.4)
    return figure


def days(dates: Sequence[date], series: Sequence[Line], y: str, x: str = "day") -> Figure:
    """One small chart a line over days, or weeks by their first, each on its own scale that starts at 0."""
    figure = Figure(figsize=(WIDE, 0.6 + 1.05 * len(series)))
    axes = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
    for axis, line in zip(axes, series, strict=True):
        _line(axis, line, width=1.8)
        shown = [value if value is not None else float("nan") for value in line.values]
        axis.fill_between(range(len(dates)), shown, color=line.colour, alpha=0.15, linewidth=0)
        _upright(axis, "", "", compact)
        axis.yaxis.set_major_locator(MaxNLocator(3))
        axis.set_title(line.name, loc="left", fontsize=9, pad=3)
        axis.margins(x=0.01)
        for place, day in enumerate(dates):
            each = [f"{line.name}: {count(line.values[place])}" for line in series]
            answer_column(axis, place - 0.5, 1.0, f"{x} {day}", *each)
    step = -(-len(dates) // 16)
    axes[-1].set_xticks(range(0, len(dates), step), [f"{day.day} {day:%b}" for day in dates[::step]])
    axes[-1].set_xlabel(f"{x}, {dates[0]} to {dates[-1]}")
    figure.supylabel(y, fontsize=9, color=MUTED)
    return figure


def _line(axis: Axes, line: Line, width: float) -> None:
    values = [value if value is not None else float("nan") for value in line.values]
    marker = "o" if len(values) < 3 else None  # a line of one point would not be seen
    axis.plot(range(len(values)), values, color=line.colour, linewidth=width, marker=marker, label=line.name)


def intervals(
    names: Sequence[str], panels: Mapping[str, Mapping[str, Sequence[Dot]]], tick: Format = compact
) -> Figure:
    """Estimates as dots with their intervals as lines.

    Parameters
    ----------
    names
        Rows, top to bottom.
    panels
        Axis title → series name → one dot per row. Several series get a legend.
    """
    figure = Figure(figsize=(WIDTH, 1.15 + 0.36 * len(names)))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        for number, (name, dots) in enumerate(series.items()):
            shift = (number - (len(series) - 1) / 2) * 0.3
            _dots(axis, name, dots, shift)
        for row, name in enumerate(names):
            each = (_told(series_name, dots[row], tick) for series_name, dots in series.items())
            answer_row(axis, row - 0.5, 1.0, label(name, FULL), title, *each)
        axis.set_yticks(range(len(names)), [label(name, 44) for name in names])
        axis.tick_params(axis="y", labelcolor=INK)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlim(left=0)
        axis.xaxis.set_major_locator(MaxNLocator(5 if len(panels) == 1 else 4))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
        axis.grid(axis="both")
        axis.set_xlabel(title)
        axis.spines[["left", "bottom"]].set_visible(False)
    if len(next(iter(panels.values()))) > 1:
        handles, texts = axes[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside upper left", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _told(name: str, dot: Dot, tick: Format) -> str:
    ends = "" if dot.low is None or dot.high is None else f" ({tick(dot.low)} to {tick(dot.high)})"
    return f"{name}: {tick(dot.mean)}{ends}".removeprefix(": ")


def _dots(axis: Axes, name: str, dots: Sequence[Dot], shift: float) -> None:
    named = False
    for row, dot in enumerate(dots):
        if dot.mean is None or not known(dot.mean):
            continue
        if dot.low is not None and dot.high is not None:
            axis.plot([dot.low, dot.high], [row + shift] * 2, color=dot.colour, linewidth=2, alpha=0.65)
        axis.plot([dot.mean], [row + shift], "o", color=dot.colour, markersize=6, label=None if named else name)
        named = True
