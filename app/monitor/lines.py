"""Rows to InfluxDB line protocol, by declared measurements.

The text equals what `influxdb_client.Point` prints for the same values (tested against it), at
a multiple of its speed: a tag value is escaped once per distinct value, not once per point.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from app.events.vocabulary import UNKNOWN

if TYPE_CHECKING:  # it takes a third of a second to load, and whoever has no table of it does without
    import pandas as pd

EVENT_CLOCK, BATCH_CLOCK = "event time", "processing time"  #: of points
TIME = "time"  #: column of a point's time: nanoseconds since 1970, a datetime or a datetime64 column
FieldType = Literal["integer", "float", "string"]
Table: TypeAlias = "pd.DataFrame | Mapping[str, Sequence[Any]]"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"})
_STRING = str.maketrans({'"': r"\"", "\\": r"\\"})


@dataclass(frozen=True)
class Tag:
    """An indexed column of a measurement; its values are few."""

    name: str
    meaning: str


@dataclass(frozen=True)
class Field:
    """A value of a measurement; never indexed."""

    name: str
    type: FieldType
    unit: str
    meaning: str


@dataclass(frozen=True)
class Measurement:
    """A kind of point: its clock, tags and fields."""

    name: str
    meaning: str
    clock: str
    tags: tuple[Tag, ...]
    fields: tuple[Field, ...]

    def lines(self, table: Table) -> list[str]:
        """Line protocol of a table, one line a row, in the table's order.

        Parameters
        ----------
        table
            Columns `time`, every tag, and any of the fields. A missing tag value becomes
            "unknown"; a null or non-finite field value is left out, a row without any is too.

        Raises
        ------
        ValueError
            A column is unknown or missing, a time is missing, or a value is not of the field's type.
        """
        columns = {str(name): _values(column) for name, column in table.items()}
        tags, fields = [tag.name for tag in self.tags], [field.name for field in self.fields]
        unknown = columns.keys() - {TIME, *tags, *fields}
        missing = {TIME, *tags} - columns.keys()
        if unknown or missing:
            raise ValueError(f"measurement {self.name}: unknown columns {sorted(unknown)}, missing {sorted(missing)}")
        heads = [[_escape_name(self.name)] * len(columns[TIME])]
        heads += [_tag_texts(tag, columns[tag]) for tag in sorted(tags)]
        bodies = [
            _field_texts(field, columns[field.name])
            for field in sorted(self.fields, key=lambda field: field.name)
            if field.name in columns
        ]
        rows = zip(zip(*heads, strict=True), zip(*bodies, strict=True), columns[TIME], strict=True)
        return [
            f"{''.join(head)} {body} {_nanoseconds(time)}"
            for head, texts, time in rows
            if (body := ",".join(filter(None, texts)))
        ]

    def line(self, **values: Any) -> str:
        """Line protocol of one point, given `time`, the tags and any of the fields."""
        (line,) = self.lines({name: [value] for name, value in values.items()})
        return line


def _values(column: Any) -> list[Any]:
    """A column as plain Python values, None where missing."""
    pd = sys.modules.get("pandas")  # whoever has a column of it has loaded it
    if pd is not None and isinstance(column, pd.Series):
        if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
            if column.isna().any():
                raise ValueError(f"column {column.name}: a time is missing")
            moments = column if column.dt.tz is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
            return moments.astype("datetime64[ns]").astype("int64").tolist()
        return column.astype(object).where(column.notna(), None).tolist()
    return list(column)


def _nanoseconds(time: Any) -> int:
    if isinstance(time, datetime):
        moment = time if time.tzinfo else time.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    if time is None or isinstance(time, float):  # a float cannot hold nanoseconds of this century
        raise ValueError(f"a time must be integer nanoseconds or a datetime, got {time!r}")
    return int(time)


def _escape_name(text: str) -> str:
    return text.translate(_NAME)


def _tag_texts(name: str, values: list[Any]) -> list[str]:
    def text(value: Any) -> str:
        escaped = _escape_name(str(value)) if value is not None and value != "" else UNKNOWN
        # A trailing backslash would escape the comma that follows.
        return f",{name}={escaped}{' ' if escaped.endswith(chr(92)) else ''}"

    texts = {value: text(value) for value in set(values)}
    return [texts[value] for value in values]


def _field_texts(field: Field, values: list[Any]) -> list[str]:
    text = _FORMATS[field.type]
    try:
        return ["" if value is None or not (shown := text(value)) else f"{field.name}={shown}" for value in values]
    except (TypeError, ValueError) as error:
        raise ValueError(f"field {field.name} ({field.type}): {error}") from None


def _integer(value: Any) -> str:
    if value != value:  # pandas turns integers with gaps into floats with NaN
        return ""
    whole = int(value)
    if whole != value:
        raise ValueError(f"not a whole number: {value!r}")
    return f"{whole}i"


def _float(value: Any) -> str:
    number = float(value)
    return repr(number).removesuffix(".0") if math.isfinite(number) else ""


def _string(value: Any) -> str:
    return f'"{str(value).translate(_STRING)}"'


_FORMATS: dict[str, Callable[[Any], str]] = {"integer": _integer, "float": _float, "string": _string}
