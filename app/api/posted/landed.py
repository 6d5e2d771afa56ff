"""Posted events as a Parquet file of the landing folder, in the shop's own layout: what the stream reads."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from app.api.posted.batches import AcceptedEvent
from app.core.errors import InputError
from app.core.files import replacing
from app.events.layout import Layout, TimeFormat
from app.events.times import EPOCHS, ISO, strptime_format
from app.events.vocabulary import EVENT_TYPES
from app.stream.folders import POSTED

#: Columns that are written under our name where the layout has none for them.
ALWAYS = ("event_id", "recommendation_id")
NUMBERS = {"category_id": pa.int64(), "price": pa.float64(), "quantity": pa.float64()}

Value = Callable[[AcceptedEvent], Any]


class LandedFiles:
    """Writes batches of events into the landing folder, each by one rename.

    Parameters
    ----------
    layout
        Of the shop: gives columns their names, event types their words, times their format.
    landing
        The landing folder, made if missing.

    Raises
    ------
    InputError
        The layout can't hold posted events, or Parquet files of other types lie there.
    """

    def __init__(self, layout: Layout, landing: Path):
        check_layout(layout)
        self._landing = landing
        self._values = _columns(layout)
        kinds = {shop: _kind(ours, layout) for ours, shop in _names(layout).items()}
        for name in layout.named_columns():
            kinds.setdefault(name, pa.string())  # only a rule looks at it: empty
        self.schema = pa.schema(list(kinds.items()))
        try:
            landing.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{landing}: can't be made a folder ({error.strerror})") from None
        _check_others(landing, self.schema)

    def write(self, name: str, events: Sequence[AcceptedEvent]) -> None:
        """Deliver events as the file `posted-<name>.parquet`."""
        columns = {field.name: [] for field in self.schema} | {
            shop: [value(event) for event in events] for shop, value in self._values.items()
        }
        for shop, values in columns.items():
            columns[shop] = values or [None] * len(events)
        with replacing(self._landing / f"{POSTED}{name}.parquet") as part:
            pq.write_table(pa.table(columns, schema=self.schema), part)


def _names(layout: Layout) -> dict[str, str]:
    """The shop's column for each of ours."""
    named = {ours: shop for ours, shop in layout.columns if isinstance(shop, str)}
    return named | {ours: ours for ours in ALWAYS if ours not in named}


def _kind(ours: str, layout: Layout) -> pa.DataType:
    """The type that the stream expects of a column as long as no file has shown it another."""
    if ours in ("product_id", "user_id"):
        return pa.string() if layout.ids == "text" else pa.int64()
    if ours == "event_time":
        if layout.time.format == ISO:
            return pa.timestamp("us", tz="UTC")
        return pa.int64() if layout.time.format in EPOCHS else pa.string()
    return NUMBERS.get(ours, pa.string())


def _columns(layout: Layout) -> dict[str, Value]:
    """How each of the shop's columns is made of an event."""
    values: dict[str, Value] = {}
    for ours, shop in _names(layout).items():
        values[shop] = _value(ours, layout)
    return values


def _value(ours: str, layout: Layout) -> Value:
    if ours == "event_time":
        return _time(layout.time)
    if ours == "event_type":
        words = {kind: _word(kind, layout) for kind in EVENT_TYPES}
        return lambda event: words[event.event_type]
    if ours in ("product_id", "user_id") and layout.ids == "integer":
        return lambda event: int(getattr(event, ours))
    return lambda event: getattr(event, ours)


def _word(kind: str, layout: Layout) -> str:
    """The shop's word for an event type of ours; ours, where it has none."""
    return next((word for word, ours in layout.event_types.items() if ours == kind), kind)


def _time(time: TimeFormat) -> Value:
    if time.format == ISO:
        return lambda event: event.event_time
    if time.format in EPOCHS:
        return lambda event: _micros(event.event_time) // EPOCHS[time.format]
    pattern, zone = strptime_format(time.format), ZoneInfo(time.zone)
    return lambda event: event.event_time.astimezone(zone).strftime(pattern)


def _micros(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def check_layout(layout: Layout) -> None:
    """See that every posted event can be written in a layout, and is read as it was meant.

    Raises
    ------
    InputError
        It can't.
    """
    names = [shop for _, shop in layout.columns if isinstance(shop, str)]
    twice = next((name for name in names if names.count(name) > 1), None)
    problem = None
    if isinstance(layout.columns.event_id, tuple):
        problem = "event_id is made of several columns; name one that holds the id"
    elif twice is not None:
        problem = f"column {twice} stands for two of ours"
    elif "%f" in (strptime_format(layout.time.format) if layout.time.format not in (ISO, *EPOCHS) else ""):
        problem = f"times of the pattern {layout.time.format} have a fraction; use iso or an epoch"
    else:
        read = {word.lower(): ours for word, ours in layout.event_types.items()}
        misread = [kind for kind in EVENT_TYPES if read.get(word := _word(kind, layout).lower(), word) != kind]
        rules = [rule for rule in layout.leave_out if rule.missing and rule.column not in names]
        if misread:
            problem = f"it has no word for {misread[0]}"
        elif rules:
            problem = f"its rule {rules[0].reason!r} leaves out rows without {rules[0].column}, which events don't have"
    if problem:
        raise InputError(f"events cannot be posted under this --layout: {problem}")


def _check_others(landing: Path, schema: pa.Schema) -> None:
    """See that the shop's own Parquet files, if there are any, go together with ours: the stream has one schema."""
    for path in sorted(landing.glob("*.parquet")):
        if path.name.startswith((POSTED, ".", "_")):
            continue
        try:
            theirs = pq.read_schema(path)
        except (pa.ArrowException, OSError):  # damaged or gone: the stream's business
            continue
        for field in schema:
            if field.name in theirs.names and theirs.field(field.name).type != field.type:
                raise InputError(
                    f"{path}: column {field.name} is {theirs.field(field.name).type}, in files of posted events it is "
                    f"{field.type}, and the stream reads both as one; write it so, or land CSV files"
                )
        return
