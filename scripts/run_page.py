"""Renew the fields in docs/run.md from their types: `python scripts/run_page.py docs/run.md`."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from app.core.part import Part
from app.results.run import RunResult

BEGIN, END = "<!-- fields: begin -->\n", "<!-- fields: end -->"
PLAIN = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Path: "text (path)",
}
DATES = {"datetime": "text (time, ISO 8601)", "date": "text (day, ISO 8601)"}


def renewed(page: str) -> str:
    """The page with its tables of fields renewed."""
    head, rest = page.split(BEGIN)
    return f"{head}{BEGIN}{fields(RunResult)}{END}{rest.split(END)[1]}"


def fields(root: type[Part]) -> str:
    """A table for a type and for each type it is made of, in the order in which they are met."""
    found = [root]
    for part in found:  # grows as it is walked through
        for field in part.model_fields.values():
            found += [other for other in _parts(field.annotation) if other not in found]
    return "\n".join(_table(part) for part in found)


def _table(part: type[Part]) -> str:
    rows = [
        f"| `{name}` | {_shown(field.annotation)} | {(field.description or '').replace('|', '/')} |"
        for name, field in part.model_fields.items()
    ]
    meaning = (part.__doc__ or "").strip().splitlines()[0]
    return "\n".join(
        [f"### {part.__name__}", "", meaning, "", "| field | type | meaning |", "|---|---|---|", *rows, ""]
    )


def _parts(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


def _shown(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shown(inner[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_shown(one) for one in inner)
    if origin is Literal:
        return " or ".join(f"`{one!r}`" for one in inner)
    if origin is tuple:
        return f"list of {_shown(inner[0])}"
    if origin is dict:
        return f"{_shown(inner[1])}, by name"
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return PLAIN.get(annotation) or DATES[annotation.__name__]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
