"""What a page is made of: sections of charts and tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """Headers and rows of text; columns in `left` hold words and are left-aligned."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    caption: str = ""
    left: frozenset[int] = frozenset({0})
    folded: bool = False  #: shown only when opened


@dataclass(frozen=True)
class Chart:
    """A picture with the numbers behind it; `svg` is None where there is nothing to draw."""

    title: str
    caption: str
    svg: str | None
    table: Table | None = None
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A titled part of the page."""

    key: str
    title: str
    intro: str
    blocks: Sequence[Chart | Table] = field(default_factory=tuple)


#: A chart's data to the chart; `None` data stand for "nothing measured".
Builder = Callable[[Any], Chart | Table]


def table_of(
    rows: Iterable[Mapping[str, Any]],
    columns: Mapping[str, tuple[str, Callable[[Any], str]]],
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
