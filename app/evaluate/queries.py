"""The split in time, and the queries asked of the slice after it.

Train before the cut, test after it, never at random: a random split lets a model see the future
(Ji et al., "A Critical Study on Data Leakage in Recommender System Offline Evaluation", 2023).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import SparkSession

from app.core import duck
from app.core.duck import Relation, query, texts
from app.core.parts import Part, by_part, gathered, part_files, read_table
from app.evaluate.names import SESSION, USER
from app.evaluate.targets import BITS, EVENT_BITS, NEW
from app.events.identity import SESSION_EVENT
from app.features.sessions import fold
from app.features.slices import Slice

TASKS = {
    SESSION: "the rest of a session, from its first events: one query per session of the test slice with at least "
    "two different products, cut at a place chosen by hash; the product on screen counts neither way",
    USER: "what a user will look at in the test slice, before the first click: one query per user",
}
HASH_BUCKETS = 1_000_000
ASKED_AT_ONCE = 5_000  #: queries that a task asks together
_COLUMNS = "query, user_id, segment, asked_at, product_ids, kinds, weights, times, relevant, targets"
#: The bits of what was done with a product after the cut.
_TARGETS = (
    f"(bit_or({EVENT_BITS}) | max(case when product_id in (select product_id from new_products) then {BITS[NEW]} "
    "else 0 end))::int"
)


def session_queries(
    test: Relation, known_users: Relation, new_products: Relation, max_events: int, max_products: int
) -> Relation:
    """Queries of the task `session`.

    Parameters
    ----------
    test
        Events after the cut, all of a user.
    known_users
        user_id, segment: users seen before the cut.
    new_products
        product_id: those first touched after the cut.
    max_events, max_products
        Bounds of what is known of a session, as in training and stream.

    Returns
    -------
    Relation
        task, query (a hash), user_id, segment (null if unknown), asked_at (seconds), `TOUCHES` (the session so far),
        relevant (products), targets (bits of `app.evaluate.targets` of each).
    """
    several = query(
        f"""
        select user_id, session_id, count(*) as events, {_hash("concat_ws('|', user_id, session_id)")} as query
        from test group by user_id, session_id having count(distinct product_id) > 1
        """,
        test=test,
    )
    placed = query(
        f"""
        select test.*, query, 1 + {_hash("query || '|cut'")} % (events - 1) as cut,
            row_number() over (partition by query order by {", ".join(SESSION_EVENT)}) as place
        from test join several using (user_id, session_id)
        """,
        test=test,
        several=several,
    )
    past = fold(placed.filter("place <= cut"), "query, user_id", max_events, max_products)
    return query(
        f"""
        with current as (select query, product_id as on_screen from placed where place = cut),
        later as (
            select query, product_id, min(place) as place, {_TARGETS} as target
            from placed join current using (query)
            where place > cut and product_id <> on_screen group by query, product_id
        ),
        wanted as (
            select query, list(product_id order by place) as relevant, list(target order by place) as targets
            from later group by query
        )
        select '{SESSION}' as task, {_COLUMNS}
        from (select *, floor(times[-1])::bigint as asked_at from past)
            join wanted using (query) left join known_users using (user_id)
        """,
        placed=placed,
        past=past,
        known_users=known_users,
        new_products=new_products,
    )


def user_queries(test: Relation, known_users: Relation, new_products: Relation) -> Relation:
    """Queries of the task `user`; columns as `session_queries`, with an empty session."""
    return query(
        f"""
        with touched as (
            select user_id, product_id, min(event_time) as first_at, {_TARGETS} as target
            from test group by user_id, product_id
        ),
        wanted as (
            select user_id, list(product_id order by product_id) as relevant,
                list(target order by product_id) as targets, floor(epoch(min(first_at)))::bigint as asked_at
            from touched group by user_id
        )
        select '{USER}' as task, {_COLUMNS} from (
            select *, {_hash("user_id::varchar")} as query, []::bigint[] as product_ids, []::int[] as kinds,
                []::float[] as weights, []::double[] as times
            from wanted
        ) left join known_users using (user_id)
        """,
        test=test,
        known_users=known_users,
        new_products=new_products,
    )


def _hash(text: str) -> str:
    """63 bits of a text's MD5, which is the same everywhere and always."""
    return f"(md5_number_lower({text}) >> 1)::bigint"


@dataclass(frozen=True)
class Bounds:
    """`queries`: about how many are asked for each task; `events`, `products`: bounds of what is known of a session."""

    queries: int
    events: int
    products: int


@dataclass(frozen=True)
class StoredQueries:
    """All queries of a slice, a table a task in `folder`, and about how many are asked of each (`limit`)."""

    spark: SparkSession
    folder: Path
    limit: int

    def count(self, task: str, since: int = 0, until: int | None = None) -> int:
        """How many of a task are asked from a moment on, and before another one (seconds since 1970)."""
        asked_at = pc.field("asked_at")
        chosen = asked_at >= since if until is None else (asked_at >= since) & (asked_at < until)
        return int(ds.dataset(part_files(self.folder / task)).count_rows(filter=chosen))

    def sample(self, since: int = 0) -> pa.Table:
        """About `limit` of those of each task that are asked from a moment on, the same ones in every run."""
        with duck.connect(self.folder) as connection:
            tables = [
                read_table(connection, self.folder / task).filter(chosen).to_arrow_table()
                for task, chosen in self._chosen(since).items()
            ]
        return pa.concat_tables(tables)

    def ask(self, work: Callable[[pa.Table], pa.Table], schema: pa.Schema, since: int = 0) -> pa.Table:
        """What some work makes of the sample, where its queries lie.

        Parameters
        ----------
        work
            Makes rows of `schema` of at most `ASKED_AT_ONCE` queries of one task.
        schema
            Of what is made.
        since
            As of `sample`.
        """
        chosen, stored = self._chosen(since), self.folder

        def of_part(part: Part) -> Iterator[pa.Table]:
            for task, which in chosen.items():
                asked = part.read(stored / task).filter(which).to_arrow_table()
                for at in range(0, len(asked), ASKED_AT_ONCE):
                    yield work(asked.slice(at, ASKED_AT_ONCE).combine_chunks())

        return gathered(self.spark, len(part_files(stored / next(iter(TASKS)))), of_part, schema, stored)

    def _chosen(self, since: int) -> dict[str, str]:
        """By task, which of its queries are the sample, as SQL."""
        chosen = {}
        for task in TASKS:
            share = self.limit / max(self.count(task, since), 1)
            chosen[task] = f"asked_at >= {since} and query % {HASH_BUCKETS} < {int(min(share, 1) * HASH_BUCKETS)}"
        return chosen


def write_queries(
    whole: Slice,
    cut: datetime,
    end: datetime | None,
    segments: Path,
    names: Sequence[str],
    bounds: Bounds,
    folder: Path,
) -> StoredQueries:
    """All queries of both tasks. What they look for ends with the slice as well.

    Parameters
    ----------
    whole
        All that is known, of which the test slice is tested.
    cut, end
        Where the test slice begins, and before what it ends; None at the end of the data.
    segments
        user_id and segment_id of the users seen before, in the parts of the events.
    names
        Of segments, by id.
    bounds
        Of queries and sessions.
    folder
        For tables on the way, on a disk that driver and executors share.
    """
    folder.mkdir(parents=True)
    named, events, products = texts(names), whole.events, whole.folder / "products"
    before_end = "true" if end is None else f"event_time < timestamp '{end}'"

    def write(part: Part) -> None:
        after = part.read(events).filter(f"event_time >= timestamp '{cut}' and {before_end}")
        test = duck.kept(after.select("user_id, session_id, product_id, event_type, event_time"))
        known = part.read(segments).select(f"user_id, {named}[segment_id + 1] as segment")
        new = read_table(part.connection, products).filter(f"first_seen >= timestamp '{cut}'").select("product_id")
        part.write(SESSION, session_queries(test, known, new, bounds.events, bounds.products))
        part.write(USER, user_queries(test, known, new))

    by_part(whole.spark, len(part_files(events)), write, folder)
    return StoredQueries(whole.spark, folder, bounds.queries)
