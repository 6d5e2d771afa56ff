"""The catalogue of a bundle: every product, with what serving needs to know of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import feather

SCHEMA = pa.schema(
    [
        ("product_id", pa.int64()),
        ("product_key", pa.string()),  # the shop's own id, null where it is the number
        ("title", pa.string()),  # null where no catalogue names it
        ("category_code", pa.string()),
        ("category", pa.string()),
        ("brand", pa.string()),
        ("avg_price", pa.float64()),
        ("available", pa.bool_()),
        ("popularity", pa.float64()),
        ("day_users", pa.int64()),  # users of whom it was wanted in the last day that was learned from
        ("day_buyers", pa.int64()),  # of these, who bought it
        ("week_users", pa.int64()),  # likewise, in the last week
        ("week_buyers", pa.int64()),
    ]
)
LATELY = ("day", "week")  #: at the end of what was learned from
RECENT = tuple(f"{time}_{who}" for time in LATELY for who in ("users", "buyers"))
FILE = "catalogue.arrow"


@dataclass(frozen=True)
class Catalogue:
    """Products sorted by id; a product's position is its index everywhere in a bundle.

    `table`: `SCHEMA`, one row per product. `product_ids` (p,) int64. `categories` (c,): names of
    main categories, sorted; `category` (p,) int32: position of each product's. `available` (p,): whether it may be
    recommended; None if every product may.
    """

    table: pa.Table
    product_ids: NDArray[np.int64]
    categories: list[str]
    category: NDArray[np.int32]
    available: NDArray[np.bool_] | None

    def __len__(self) -> int:
        return len(self.product_ids)

    @classmethod
    def of(cls, table: pa.Table) -> "Catalogue":
        """From a table with columns of `SCHEMA`, in any order; key, title, availability and recency may be absent."""
        n = len(table)
        columns = {
            "product_key": pa.nulls(n, pa.string()),
            "title": pa.nulls(n, pa.string()),
            "available": pa.array(np.ones(n, np.bool_)),
        }
        columns |= {name: pa.array(np.zeros(n, np.int64)) for name in RECENT}
        columns |= {name: table[name] for name in table.column_names if name in SCHEMA.names}
        whole = pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)
        return cls._index(whole.sort_by("product_id").combine_chunks())

    @classmethod
    def _index(cls, table: pa.Table) -> "Catalogue":
        names = sorted(pc.unique(table["category"]).to_pylist())
        positions = pc.index_in(table["category"], pa.array(names, table["category"].type))
        available = table["available"].to_numpy()
        return cls(
            table,
            np.asarray(table["product_id"].to_numpy(), np.int64),
            names,
            positions.to_numpy().astype(np.int32),
            None if available.all() else available,
        )

    @property
    def keyed(self) -> bool:
        """Whether the shop has ids of text."""
        return bool(self.table["product_key"].null_count < len(self))

    def positions(self, product_ids: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Position of each product; -1 for one that is not in the catalogue."""
        return positions(self.product_ids, product_ids)

    def save(self, folder: Path) -> None:
        # Uncompressed, so that all workers of a machine share one memory-mapped copy.
        feather.write_feather(self.table, folder / FILE, compression="uncompressed")

    @classmethod
    def load(cls, folder: Path) -> "Catalogue":
        return cls._index(feather.read_table(folder / FILE, memory_map=True))

    def shown(self, items: NDArray[np.integer[Any]], text_ids: bool) -> pa.Array:
        """The shop's own ids of products by position: text, or the numbers."""
        numbers = pa.array(self.product_ids[items])
        if not text_ids:
            return numbers
        return pc.coalesce(
            self.table["product_key"].take(pa.array(items % len(self))), pc.cast(numbers, pa.string())
        ).combine_chunks()

    def take(self, items: NDArray[np.integer[Any]]) -> pa.Table:
        """Rows of the table by position."""
        return self.table.take(pa.array(items))


def positions(ids: NDArray[np.int64], wanted: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Index in a sorted array of ids; -1 where an id is not there."""
    if len(ids) == 0:
        return np.full(len(wanted), -1, np.int32)
    found = np.searchsorted(ids, wanted)
    found[found == len(ids)] = 0
    return np.where(ids[found] == wanted, found, -1).astype(np.int32)
