"""Drawing of grids: figures by row and column, as colours. Used like `charts`."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from app.report.charts import WIDE, WIDTH
from app.report.hover import answer
from app.report.text import Format, compact, count

COLOUR_MAP = "viridis"
LETTERS = 90  #: that fit below a heat map side by side


def heatmap(
    rows: Sequence[str],
    cols: Sequence[str],
    cells: Mapping[tuple[int, int], float],
    x: str,
    y: str,
    tick: Format,
) -> Figure:
    """A table of shares in [0, 1], coloured by value, each written in its cell.

    Parameters
    ----------
    cells
        (row, column) → value; absent cells stay blank.
    """
    figure = Figure(figsize=(WIDE, 1.0 + 0.32 * len(rows)))
    axis = figure.subplots()
    top = max(cells.values()) or 1.0
    grid = [[cells.get((r, c), float("nan")) for c in range(len(cols))] for r in range(len(rows))]
    axis.pcolormesh(grid, cmap=COLOUR_MAP, vmin=0, vmax=top, edgecolors="none")
    for (row, col), value in cells.items():
        colour = "#000000" if value > 0.55 * top else "#ffffff"
        axis.text(col + 0.5, row + 0.5, tick(value), ha="center", va="center_baseline", color=colour, fontsize=8)
        answer(axis, (col, row), 1.0, 1.0, f"{y}: {rows[row]}", f"{x}: {cols[col]}", tick(value))
    axis.set_xticks([c + 0.5 for c in range(len(cols))], list(cols))
    if len(cols) * max(map(len, cols)) > LETTERS:
        axis.set_xticks(axis.get_xticks(), list(cols), rotation=30, ha="right", rotation_mode="anchor")
    axis.set_yticks([r + 0.5 for r in range(len(rows))], list(rows))
    axis.invert_yaxis()
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.spines[:].set_visible(False)
    return figure


def density(
    x_edges: Sequence[float],
    y_edges: Sequence[float],
    cells: Mapping[tuple[int, int], int],
    x: str,
    y: str,
    unit: str,
) -> Figure:
    """How many fall in each cell of a grid, on a logarithmic colour scale.

    Parameters
    ----------
    x_edges, y_edges
        Ascending edges, one more than there are bins.
    cells
        (x bin, y bin) → count above 0.
    """
    figure = Figure(figsize=(WIDTH, 2.9))
    axis = figure.subplots()
    grid = [[cells.get((i, j), float("nan")) for i in range(len(x_edges) - 1)] for j in range(len(y_edges) - 1)]
    top = max(max(cells.values()), 10)
    mesh = axis.pcolormesh(
        x_edges,
        y_edges,
        grid,
        cmap=matplotlib.colormaps[COLOUR_MAP].resampled(24),
        norm=LogNorm(1, top),
        edgecolors="face",
        linewidth=0.3,
    )
    for (i, j), value in cells.items():
        corner, width, height = (x_edges[i], y_edges[j]), x_edges[i + 1] - x_edges[i], y_edges[j + 1] - y_edges[j]
        sides = (
            f"{name}: {compact(edges[at])} to {compact(edges[at + 1])}"
            for name, edges, at in ((x, x_edges, i), (y, y_edges, j))
        )
        answer(axis, corner, width, height, *sides, f"{unit}: {count(value)}")
    bar = figure.colorbar(mesh, ax=axis, label=unit, pad=0.02)
    bar.ax.yaxis.set_major_locator(LogLocator())
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    bar.outline.set_visible(False)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    return figure
