"""Plain lines of a CSV log, typed many at once by Arrow: most lines of most logs.

A line is *plain* if `app.events.canonical` and `app.events.clean` have nothing to decide about it: no quote, every
field there, each written in the one usual way. What they would make of it is then known beforehand, and is made here
at a fifth of the time; all other lines are left to them. Both make the same event of a plain line: tests/events/
test_plain.py holds one against the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from app.events.forgotten import NOBODY, Forgotten
from app.events.layout import Layout
from app.events.merged import NOBODY_MERGED, Merged
from app.events.times import EPOCHS, ISO
from app.events.vocabulary import EARLIEST, EVENT_TYPES, MISSING_TEXT, UNKNOWN

DELIMITERS = {",": ",", ";": ";", "\t": r"\t", "|": r"\|"}  #: as RE2 writes them; another may be part of a field
_DAY = r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
_TIMES = {
    ISO: rf"20\d\d-{_DAY}[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{{1,6}})?(?: ?UTC|Z)?",
    "epoch_seconds": r"\d{9,10}",
    "epoch_milliseconds": r"\d{12,13}",
    "epoch_microseconds": r"\d{15,16}",
}
_IDS = {"integer": r"\d{1,18}", "text": r"(?:0|[1-9]\d{0,17})"}  # of text ids "007" is another than "7"
_LONG = r"(?:\d{1,18}|[1-8]\d{18})?"
_PRICE = r"(?:\d{1,12}(?:\.\d{1,9})?)?"
_QUANTITY = r"\d{0,6}"  # none is more than `MAX_QUANTITY`
_WORDS = pa.dictionary(pa.int32(), pa.string())  # a word that many lines share is looked at once
_FLOAT, _TEXT = pa.float64(), pa.string()
#: What a plain line becomes: the columns of `app.events.clean.CHOSEN_BY`.
PLAIN_SCHEMA = pa.schema(
    [
        ("event_time", pa.timestamp("us")),
        ("event_type", _WORDS),
        ("product_id", pa.int64()),
        ("user_id", pa.int64()),
        ("user_session", _TEXT),
        ("listed_price", _FLOAT),
        ("price", _FLOAT),
        ("quantity", _FLOAT),
        ("category_id", pa.int64()),
        ("category_code", _WORDS),
        ("brand", _WORDS),
        ("user_key", _TEXT),
        ("product_key", _TEXT),
        ("event_id", _TEXT),
        ("order_id", _TEXT),
        ("recommendation_id", _TEXT),
    ]
)
#: How a shop's column is read that holds one of ours; all others are text.
_READ_AS = {
    "event_type": _WORDS,
    "product_id": pa.int64(),
    "user_id": pa.int64(),
    "category_id": pa.int64(),
    "category_code": _WORDS,
    "brand": _WORDS,
    "price": _FLOAT,
    "quantity": _FLOAT,
}


@dataclass(frozen=True)
class CleaningRules:
    """What the rules of cleaning depend on: see `app.events.clean.parse` and `app.events.ingest.ingest`."""

    layout: Layout
    latest: datetime
    max_price: float
    forgotten: Forgotten = NOBODY
    merged: Merged = NOBODY_MERGED


@dataclass(frozen=True)
class PlainLog:
    """The plain lines of files with one header; made by `plain_log`.

    `columns`: of the header, in order; `names`: of ours, the shop's column; `words`: our event type by the shop's.
    """

    columns: tuple[str, ...]
    cleaning: CleaningRules
    names: dict[str, str]
    words: dict[str, str] = field(repr=False)

    def take(self, lines: pa.StringArray) -> tuple[pa.Table, pa.BooleanArray]:
        """The events of plain lines (`PLAIN_SCHEMA`), and which of the lines they are; each has its end."""
        plain = pc.match_substring_regex(lines, self._pattern)
        chosen = lines.filter(plain)
        if not len(chosen):
            return PLAIN_SCHEMA.empty_table(), plain
        try:
            events = self._events(self._fields(chosen))
        except pa.ArrowInvalid:  # some bytes that are no UTF-8 are text to RE2; the rules know what to make of them
            return PLAIN_SCHEMA.empty_table(), pa.array(np.zeros(len(lines), bool))
        sure = self._nothing_to_decide(events)
        return events.filter(sure), pc.replace_with_mask(plain, plain, sure)

    @cached_property
    def _pattern(self) -> str:
        """Of a whole line, for RE2."""
        layout, by_column = self.cleaning.layout, {column: ours for ours, column in self.names.items()}
        delimiter = DELIMITERS[layout.delimiter]
        any_text = rf'[^"{delimiter}[:cntrl:]]*'
        outer = rf'[^\s"{delimiter}[:cntrl:]]'  # at the ends of a text, which is trimmed
        patterns = {
            "event_time": _TIMES[layout.time.format],
            "event_type": f"(?:{'|'.join(self.words)})",
            "product_id": _IDS[layout.ids],
            "user_id": _IDS[layout.ids],
            "category_id": _LONG,
            "price": _PRICE,
            "quantity": _QUANTITY,
        }
        text = rf"(?:{outer}(?:{any_text}{outer})?)?"
        fields = [
            patterns.get(by_column[name], text) if name in by_column else any_text
            for name in (column.strip() for column in self.columns)
        ]
        return rf"\A{delimiter.join(fields)}\r?\n\z"

    def _fields(self, lines: pa.StringArray) -> dict[str, pa.Array]:
        """Fields of plain lines, by our names."""
        _, offsets, text = lines.buffers()
        bounds = np.frombuffer(offsets, np.int32)
        begin, end = bounds[lines.offset], bounds[lines.offset + len(lines)]
        numbers = {name.strip(): str(number) for number, name in enumerate(self.columns)}
        wanted = {ours: numbers[column] for ours, column in self.names.items()}
        table = pcsv.read_csv(
            pa.BufferReader(text.slice(int(begin), int(end - begin))),
            pcsv.ReadOptions(column_names=[*numbers.values()], use_threads=False, block_size=2**31 - 1),
            pcsv.ParseOptions(delimiter=self.cleaning.layout.delimiter, quote_char=False),
            pcsv.ConvertOptions(
                column_types={number: _READ_AS.get(ours, _TEXT) for ours, number in wanted.items()},
                include_columns=[*wanted.values()],
                null_values=[""],
                strings_can_be_null=False,
            ),
        ).combine_chunks()
        return {ours: table[number].chunk(0) for ours, number in wanted.items()}

    def _events(self, fields: dict[str, pa.Array]) -> pa.Table:
        layout, count = self.cleaning.layout, len(fields["event_time"])
        listed, quantity = fields.get("price"), fields.get("quantity")
        columns = {
            name: pa.nulls(count, kind) for name, kind in zip(PLAIN_SCHEMA.names, PLAIN_SCHEMA.types, strict=True)
        }
        columns |= {name: fields[name] for name in ("product_id", "user_id", "category_id") if name in fields}
        columns |= {
            "event_time": _moments(fields["event_time"], layout.time.format),
            "event_type": self._types(fields.get("event_type"), count),
            "quantity": pa.repeat(1.0, count) if quantity is None else pc.fill_null(quantity, 1.0),
        }
        columns |= {name: _known(fields.get(name), count) for name in ("category_code", "brand")}
        columns |= {
            name: _given(fields[name]) for name in ("user_session", "order_id", "recommendation_id") if name in fields
        }
        if listed is not None:
            known = pc.and_(pc.greater(listed, 0.0), pc.less_equal(listed, self.cleaning.max_price))
            columns |= {"listed_price": listed, "price": pc.if_else(known, listed, pa.scalar(None, _FLOAT))}
        if layout.ids == "text":
            columns |= {f"{kind}_key": fields[f"{kind}_id"].cast(_TEXT) for kind in ("user", "product")}
        return pa.table(columns, PLAIN_SCHEMA)

    def _types(self, shops: pa.DictionaryArray | None, count: int) -> pa.DictionaryArray:
        if shops is None:
            return pa.array([self.cleaning.layout.event_type] * count, _TEXT).dictionary_encode()
        ours = pa.array([self.words[word] for word in shops.dictionary.to_pylist()], _TEXT)
        return pa.DictionaryArray.from_arrays(shops.indices, ours)

    def _nothing_to_decide(self, events: pa.Table) -> pa.BooleanArray:
        """Of lines that look plain, those whose values are."""
        cleaning, users = self.cleaning, events["user_id"]
        first = pa.scalar(datetime.fromisoformat(EARLIEST), pa.timestamp("us"))
        last = pa.scalar(cleaning.latest.replace(microsecond=0, tzinfo=None), pa.timestamp("us"))
        time = events["event_time"]
        sure = [pc.and_(pc.greater_equal(time, first), pc.less_equal(time, last))]
        # of a number that is told as a float, the rules take the ".0" away
        sure += [
            pc.invert(pc.fill_null(pc.ends_with(events[name], ".0"), False)) for name in ("user_session", "order_id")
        ]
        apart = [*cleaning.merged.merges]
        if cleaning.forgotten:
            apart += cleaning.forgotten.among(pc.unique(users).to_pylist())
        if apart:
            sure += [pc.invert(pc.is_in(users, pa.array(apart, pa.int64())))]
        return reduce(pc.and_, sure).combine_chunks()


def plain_log(columns: Sequence[str], cleaning: CleaningRules) -> PlainLog | None:
    """How plain lines under a header are told, or None where the rules must see each line.

    Parameters
    ----------
    columns
        Of the header, as they stand there; all that the layout names are among them.
    cleaning
        With the layout: plain are times in UTC as ISO text or counted from 1970, with no rule that leaves rows out,
        and no ids of events, which may be told of two users.
    """
    layout = cleaning.layout
    named = {ours: column for ours, column in layout.columns if column is not None}
    stands_for_two = len({*named.values()}) < len(named) or len({name.strip() for name in columns}) < len(columns)
    known_time = (layout.time.zone == "UTC" and layout.time.format == ISO) or layout.time.format in EPOCHS
    if (
        "event_id" in named
        or stands_for_two
        or layout.leave_out
        or not known_time
        or layout.delimiter not in DELIMITERS
    ):
        return None
    words = {word: word for word in EVENT_TYPES}
    if len({word.lower() for word in layout.event_types}) < len(layout.event_types):
        return None
    for word, ours in layout.event_types.items():
        words |= {word: ours, word.lower(): ours}
    usual = {word: ours for word, ours in words.items() if word.replace("_", "").isalnum() and word.isascii()}
    return PlainLog(tuple(columns), cleaning, named, usual)


def _moments(times: pa.StringArray, format: str) -> pa.TimestampArray:
    if format == ISO:
        return pc.ascii_rtrim(times, "UTCZ ").cast(pa.timestamp("us"))
    return pc.multiply(times.cast(pa.int64()), EPOCHS[format]).cast(pa.timestamp("us"))


def _is_missing(text: pa.StringArray) -> pa.BooleanArray:
    return pc.is_in(pc.ascii_lower(text), pa.array(MISSING_TEXT))


def _known(words: pa.DictionaryArray | None, count: int) -> pa.DictionaryArray:
    if words is None:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([UNKNOWN]))
    known = pc.if_else(_is_missing(words.dictionary), UNKNOWN, words.dictionary)
    return pa.DictionaryArray.from_arrays(words.indices, known)


def _given(text: pa.StringArray) -> pa.StringArray:
    return pc.if_else(_is_missing(text), pa.scalar(None, _TEXT), text)
