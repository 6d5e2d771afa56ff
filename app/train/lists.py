"""Lists for users of whose session nothing is known, made where the users lie."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from app.registry.identities import EVERYONE, Identities
from app.registry.registry import obeyed_by
from app.serve.lists import list_schema, list_table
from app.serve.recommender import CHUNK, Recommender, opened
from app.serve.visits import Visitors


def lists_for_users(
    users: DataFrame,
    bundle: Path,
    k: int,
    now: datetime,
    generated_at: datetime,
    who: Identities = EVERYONE,
) -> DataFrame:
    """Lists for users.

    Parameters
    ----------
    users
        user_id and user_key (the shop's own id, null where it is the number).
    bundle
        Folder of the bundle.
    k
        Products per list.
    now
        From which purchases are counted back; usually the end of the data.
    generated_at
        Stamp of the rows.
    who
        Users who are strangers to a bundle that knows what they did before, and who are one though it knows several.

    Returns
    -------
    DataFrame
        `app.serve.lists.list_schema`.
    """
    answer = _answerer(bundle, k, now.timestamp(), generated_at, who)
    schema = list_schema(Recommender.load(bundle).parameters.text_ids)
    return users.select("user_id", "user_key").mapInArrow(answer, from_arrow_schema(schema))


def _answerer(
    bundle: Path, k: int, now: float, generated_at: datetime, who: Identities
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        recommender, obeyed = opened(bundle), obeyed_by(bundle)
        for batch in batches:
            ids = batch.column("user_id").to_numpy()
            for start in range(0, len(ids), CHUNK):
                visitors = replace(
                    Visitors.of(ids[start : start + CHUNK], now), keys=batch.column("user_key").slice(start, CHUNK)
                )
                lists = recommender.recommend(who.introduced(visitors, recommender.users.ids, obeyed), k)
                yield from list_table(recommender, visitors, lists, bundle.name, generated_at).to_batches()

    return answer
