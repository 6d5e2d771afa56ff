"""Colours and style of the charts, and a figure as inline SVG that follows the page's theme.

Colours are those of Okabe & Ito (2008), distinguishable by colour-blind readers. Text, grid
lines and the blue are drawn in colours which become CSS variables, so one picture fits light and
dark pages.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from app.report.hover import told

BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"
PURPLE, GREY = "#cc79a7", "#8a929b"
EVENT_COLOURS = {"view": BLUE, "cart": ORANGE, "remove_from_cart": PURPLE, "purchase": GREEN}

INK, MUTED, GRID = "#101112", "#505152", "#c0c1c2"  # placeholders, replaced by the theme's colours
THEME = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)", BLUE: "var(--blue)"}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's font
    "text.parse_math": False,  # a brand may hold a dollar sign
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so the layout is the same everywhere
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.06,
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of the report; drawing happens inside."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # The browser's fonts write the text, so what the layout font lacks is no loss.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def to_svg(figure: Figure, title: str, description: str) -> str:
    """Inline SVG, the same bytes for the same figure and title.

    Parameters
    ----------
    figure
        Drawn inside `style()`.
    title
        Unique on the page: names the picture for screen readers and keeps its element ids apart.
    description
        Longer text for screen readers.
    """
    buffer = io.StringIO()
    # Laid out here, and without an engine from then on: else savefig draws it all twice, first for the layout alone.
    with matplotlib.rc_context({"svg.hashsalt": title, "figure.constrained_layout.use": False}):
        layout = figure.get_layout_engine()
        if layout is not None:
            layout.execute(figure)
            figure.set_layout_engine(None)
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    opening = text.index(">") + 1
    view = re.search(r'viewBox="[^"]*"', text[:opening])
    assert view is not None
    body = told(re.sub(r'<g id="[^"]*"/>\s*', "", text[opening:]))
    body = re.sub(r'<g id="[^"]*">', "<g>", body)  # nothing refers to groups, and their ids would repeat
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)  # the page's own style has it once
    for placeholder, variable in THEME.items():
        body = body.replace(placeholder, variable)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view[0]} '
    name = f'role="img" aria-label="{escape(f"{title}. {description}")}">'
    return f"{head}{name}<title>{escape(title)}</title>{body.strip()}"
