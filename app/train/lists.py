"""Lists for users of whose session nothing is known, made where the users lie."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.core.parts import Part, by_part, part_files
from app.features.slices import Slice
from app.registry.identities import EVERYONE, Identities
from app.registry.registry import obeyed_by
from app.serve.lists import csv_rows, list_schema, list_table
from app.serve.recommender import CHUNK, opened
from app.serve.visits import Visitors

TABLE, CSV = "lists", "csv"


@dataclass(frozen=True)
class MadeLists:
    """Where lists lie: a table, and the same as files of `app.serve.lists.csv_rows`."""

    table: Path
    csv: list[Path]


@dataclass(frozen=True)
class ListMaker:
    """Makes lists of `k` products by the bundle in a folder.

    `now`: from which purchases are counted back; usually the end of the data. `generated_at`: stamp of the rows.
    `who`: users who are strangers to a bundle that knows what they did before, and who are one though it knows several.
    """

    bundle: Path
    k: int
    now: datetime
    generated_at: datetime
    who: Identities = EVERYONE

    @property
    def schema(self) -> pa.Schema:
        """Of the lists: `app.serve.lists.list_schema`."""
        return list_schema(opened(self.bundle).parameters.text_ids)

    def lists(self, users: pa.Table) -> Iterator[pa.Table]:
        """Lists for users, some at a time.

        Parameters
        ----------
        users
            user_id and user_key (the shop's own id, null where it is the number).
        """
        recommender, obeyed = opened(self.bundle), obeyed_by(self.bundle)
        for start in range(0, len(users), CHUNK):
            some = users.slice(start, CHUNK).combine_chunks()
            asking = Visitors.of(some["user_id"].to_numpy(), self.now.timestamp())
            visitors = replace(asking, keys=some["user_key"].combine_chunks())
            answer = recommender.recommend(self.who.introduced(visitors, recommender.users.ids, obeyed), self.k)
            yield list_table(recommender, visitors, answer, self.bundle.name, self.generated_at)


def lists_for_users(known: Slice, since: datetime, maker: ListMaker, folder: Path) -> MadeLists:
    """Lists for the users of a slice who were seen lately.

    Parameters
    ----------
    known
        The slice.
    since
        Users who were last seen before it get no list.
    maker
        Makes them.
    folder
        For the table, on a disk that driver and executors share.

    Returns
    -------
    MadeLists
        In the parts of the users.
    """
    users = known.folder / "users"

    def write(part: Part) -> None:
        active = part.read(users).filter(f"last_seen >= timestamp '{since}'").select("user_id, user_key")
        with (
            pq.ParquetWriter(part.folder / f"{TABLE}.parquet", maker.schema, compression="zstd") as writer,
            (part.folder / f"{CSV}.csv").open("wb") as csv,
        ):
            for table in maker.lists(active.to_arrow_table()):
                writer.write_table(table)
                csv.write(csv_rows(table))

    by_part(known.spark, len(part_files(users)), write, folder)
    return MadeLists(folder / TABLE, sorted((folder / CSV).glob("part-*.csv")))
