"""What a page is made of: sections of charts and tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from app.report.theme import to_svg


@dataclass(frozen=True)
class Table:
    """Headers and rows of text; columns in `left` hold words and are left-aligned."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    caption: str = ""
    left: frozenset[int] = frozenset({0})
    folded: bool = False  #: shown only when opened
    wide: bool = False


@dataclass(frozen=True)
class Chart:
    """A picture with the numbers behind it; `svg` is None where there is nothing to draw."""

    title: str
    caption: str
    svg: str | None
    table: Table | None = None
    wide: bool = False


Block = Chart | Table
Columns = dict[str, tuple[str, Callable[[Any], str]]]  #: field → (header, format)


@dataclass(frozen=True)
class Section:
    """A titled part of the page."""

    key: str
    title: str
    intro: str
    blocks: Sequence[Block]


def chart(
    title: str,
    caption: str = "",
    figure: Figure | None = None,
    table: Table | None = None,
    wide: bool = False,
) -> Chart:
    """A chart drawn from its figure; without a figure, a note that there are no data.

    Parameters
    ----------
    title
        What is shown; unique on the page.
    caption
        One or two sentences, also read to those who do not see the picture.
    table
        The numbers behind the picture, folded under it.
    wide
        Takes the full width of the page.
    """
    return Chart(title, caption, to_svg(figure, title, caption) if figure else None, table, wide)


def table_of(
    rows: Iterable[Mapping[str, Any]],
    columns: Columns,
    left: Iterable[int] = (0,),
    **options: Any,
) -> Table:
    """A table from records.

    Parameters
    ----------
    rows
        Records; an absent field is shown as a dash by the number formats.
    columns
        Field → (header, format), in order.
    left
        Columns of words, left-aligned.
    **options
        Other fields of `Table`.
    """
    return Table(
        headers=[header for header, _ in columns.values()],
        rows=[[form(row.get(name)) for name, (_, form) in columns.items()] for row in rows],
        left=frozenset(left),
        **options,
    )
