"""Writes the events of the synthetic shop as REES46 CSV (plain or gzip) or Parquet."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from app.core.errors import InputError
from app.core.files import replacing
from app.events.vocabulary import CART, PURCHASE, VIEW
from app.synthetic.catalogue import Catalogue
from app.synthetic.day import DAY, Day
from app.synthetic.kinds import KINDS
from app.synthetic.users import Users

EVENT_TYPES = (VIEW, CART, PURCHASE)  #: in the order of the codes of `synthetic.day`
TYPED = pa.schema(
    [
        ("event_time", pa.timestamp("us", tz="UTC")),
        ("event_type", pa.string()),
        ("product_id", pa.int64()),
        ("category_id", pa.int64()),
        ("category_code", pa.string()),
        ("brand", pa.string()),
        ("price", pa.float64()),
        ("user_id", pa.int64()),
        ("user_session", pa.string()),
    ],
    metadata={"synthetic": "true"},
)
TEXT = pa.schema([(name, pa.string()) for name in TYPED.names])


class TableWriter(Protocol):
    """What CSV and Parquet writers have in common."""

    def write_table(self, table: pa.Table) -> None: ...


class Products:
    """Columns of the catalogue, ready to be taken by position: as text for CSV, typed for Parquet."""

    def __init__(self, catalogue: Catalogue, schema: pa.Schema) -> None:
        category = catalogue.category
        columns: dict[str, pa.Array] = {
            "product_id": pa.array(catalogue.product_id),
            "category_id": pa.array(np.array(catalogue.category_id)[category]),
            "category_code": pa.array(catalogue.category_code, pa.string()).take(pa.array(category)),
            "brand": pa.array([name or None for name in catalogue.brand], pa.string()),
            "price": pa.array(catalogue.price),
        }
        if schema is TEXT:
            columns = {name: column.cast(pa.string()) for name, column in columns.items() if name != "price"}
            columns["price"] = pa.array([f"{price:.2f}" for price in catalogue.price.tolist()])
        self.columns = columns


def to_table(
    day: Day, midnight: date, products: Products, users: Users, sessions: pa.Array, schema: pa.Schema
) -> pa.Table:
    """A day's events in the REES46 layout; `sessions` are the session ids by position."""
    product = pa.array(day.product)
    columns: dict[str, Any] = {name: column.take(product) for name, column in products.columns.items()}
    start = datetime(midnight.year, midnight.month, midnight.day, tzinfo=UTC)
    if schema is TEXT:
        columns["event_time"] = pc.binary_join_element_wise(
            start.strftime("%Y-%m-%d"), _times_of_day().take(pa.array(day.second)), ""
        )
    else:
        epoch = int(start.timestamp())
        columns["event_time"] = pa.array((epoch + day.second) * 1_000_000, schema.field("event_time").type)
    columns["event_type"] = pa.array(EVENT_TYPES).take(pa.array(day.event_type))
    columns["user_id"] = pc.cast(pa.array(users.user_id[day.user]), schema.field("user_id").type)
    columns["user_session"] = sessions.take(pa.array(day.session))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def session_ids(sessions: int, rng: np.random.Generator) -> pa.Array:
    """Version 4 UUIDs as text."""
    raw = rng.integers(0, 256, (sessions, 16), dtype=np.uint8)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x40
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text: NDArray[np.uint8] = np.full((sessions, 36), ord("-"), np.uint8)
    kept = np.delete(np.arange(36), [8, 13, 18, 23])
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text[:, kept] = digits[np.stack([raw >> 4, raw & 15], axis=2).reshape(sessions, 32)]
    offsets = pa.array(np.arange(sessions + 1, dtype=np.int32) * 36)
    return pa.StringArray.from_buffers(sessions, offsets.buffers()[1], pa.py_buffer(text.tobytes()))


def customers_file(log: Path) -> Path:
    """Where the types of a log's customers are kept; hidden from who reads the log's folder as a log."""
    stem = log.name.removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet").removesuffix(".synthetic")
    return log.with_name(f"_{stem}.customers.synthetic.csv")


def write_customers(path: Path, users: Users) -> None:
    """The type of each customer: user_id, type."""
    kinds = pa.array([kind.name for kind in KINDS]).take(pa.array(users.kind))
    with replacing(path) as part:
        pacsv.write_csv(
            pa.table({"user_id": pa.array(users.user_id), "type": kinds}),
            part,
            pacsv.WriteOptions(quoting_style="none", quoting_header="none"),
        )


@contextmanager
def open_writer(path: Path) -> Iterator[tuple[TableWriter, pa.Schema]]:
    """A writer for the format that the path's suffix names, and the schema that it takes.

    The file appears under its name when it is complete.

    Raises
    ------
    InputError
        The suffix is none of .csv, .csv.gz and .parquet.
    """
    if not path.name.endswith((".csv", ".csv.gz", ".parquet")):
        raise InputError(f"{path}: unknown format, name the file .csv, .csv.gz or .parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, _open(path.name, part) as (writer, schema):
        yield writer, schema


@contextmanager
def _open(name: str, part: Path) -> Iterator[tuple[TableWriter, pa.Schema]]:
    if name.endswith(".parquet"):
        with pq.ParquetWriter(part, TYPED, compression="zstd") as writer:
            yield writer, TYPED
        return
    with part.open("wb") as plain:
        # no name and no time in the gzip header: the same seed gives the same bytes
        packed = gzip.GzipFile("", "wb", compresslevel=4, fileobj=plain, mtime=0) if name.endswith(".gz") else plain
        packed.write((",".join(TEXT.names) + "\n").encode())  # pyarrow would quote the header
        options = pacsv.WriteOptions(include_header=False, quoting_style="none")
        with pacsv.CSVWriter(packed, TEXT, write_options=options) as writer:
            yield writer, TEXT
        packed.close()


@cache
def _times_of_day() -> pa.Array:
    """The seconds of a day as the log writes them."""
    seconds = pa.array(np.arange(DAY, dtype=np.int64), pa.timestamp("s", tz="UTC"))
    return pc.strftime(seconds, format=" %H:%M:%S UTC")
