"""What a user would pick instead of training with Vitrine: DuckDB, scikit-learn and implicit on one machine.

    python benchmarks/peer.py --events four.synthetic.csv --output peer

The steps of `vitrine train` without what makes a service of it: rows are parsed without reasons for bad ones, features
are those of users alone, one K-Means, ALS and item-item cosine, learned before the last day and on everything, and
lists for the users of the last week. It writes no bundle, no report, judges no champion, and explains no place. It
ends with one JSON line: seconds in all and by stage, counts, and HR@10 and NDCG@10 of both models on the users of
the last day who were seen before.
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit's own threads; with BLAS's on top it is far slower

import duckdb
import numpy as np
from arguments import file, folder
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from stopwatch import Stopwatch

COLUMNS = {
    "event_time": "VARCHAR",
    "event_type": "VARCHAR",
    "product_id": "BIGINT",
    "category_id": "BIGINT",
    "category_code": "VARCHAR",
    "brand": "VARCHAR",
    "price": "DOUBLE",
    "user_id": "BIGINT",
    "user_session": "VARCHAR",
}
TEST_USERS, BATCH, THREADS = 10_000, 20_000, os.cpu_count() or 1
LAST_DAY = "(select max(event_time) - interval 1 day from events)"


def clean(db: duckdb.DuckDBPyConnection, events: Path, output: Path) -> None:
    """Distinct events as Parquet, sorted by user and time."""
    table = output / "clean.parquet"
    db.execute(
        f"""
        copy (
            select distinct strptime(event_time, '%Y-%m-%d %H:%M:%S UTC') as event_time, event_type, product_id,
                category_id, coalesce(category_code, 'unknown') as category_code, coalesce(brand, 'unknown') as brand,
                case when price > 0 then price end as price, user_id, user_session,
                split_part(coalesce(category_code, 'unknown'), '.', 1) as main_category
            from read_csv('{events}', header = true, columns = {COLUMNS})
            order by user_id, event_time
        ) to '{table}' (format parquet)
        """
    )
    db.execute(f"create view events as from '{table}'")


def explore(db: duckdb.DuckDBPyConnection) -> None:
    """Counts by type, day and hour, what is missing, sessions, and the funnel."""
    for query in (
        "select event_type, count(*), avg(price), min(price), max(price) from events group by 1",
        "select date_trunc('day', event_time), count(*) from events group by 1",
        "select hour(event_time), count(*) from events group by 1",
        "select count(*) filter (category_code = 'unknown'), count(*) filter (brand = 'unknown'), "
        "count(distinct user_id), count(distinct product_id) from events",
    ):
        db.execute(query).fetchall()
    db.execute(
        """
        create table sessions as select user_id, user_session, count(*) as events, min(event_time) as first,
            max(event_time) as last, count(*) filter (event_type = 'view') as views,
            count(*) filter (event_type = 'cart') as carts, count(*) filter (event_type = 'purchase') as purchases
        from events group by 1, 2
        """
    )
    for query in (
        "select avg(events), stddev(events), quantile_cont(events, [.25, .5, .75]), avg(epoch(last) - epoch(first)) "
        "from sessions",
        "select count(*) filter (views > 0), count(*) filter (views > 0 and carts > 0), "
        "count(*) filter (views > 0 and carts > 0 and purchases > 0) from sessions",
    ):
        db.execute(query).fetchall()


def pairs(db: duckdb.DuckDBPyConnection, name: str, where: str = "") -> None:
    """User-product pairs with their capped rating."""
    db.execute(
        f"""
        create table {name} as select user_id, product_id,
            least(sum(case event_type when 'view' then 1 when 'cart' then 3 when 'purchase' then 5 else 0 end), 10)
                ::float as rating,
            count(*) filter (event_type = 'view') as views, count(*) filter (event_type = 'cart') as carts,
            count(*) filter (event_type = 'purchase') as purchases, sum(price) as prices, count(price) as priced,
            sum(case when event_type = 'purchase' then price end) as paid, max(event_time) as last
        from events {where} group by 1, 2
        """
    )


def features(db: duckdb.DuckDBPyConnection) -> None:
    """One row a user."""
    db.execute(
        """
        create table users as
        with attributes as (select product_id, arg_max(category_code, event_time) as code from events group by 1),
        days as (select user_id, count(distinct event_time::date) as days from events group by 1)
        select user_id, date_diff('day', max(last), (select max(event_time) from events)) as recency,
            any_value(days) as days,
            sum(paid) as paid, sum(views) as views, sum(purchases) as purchases, count(*) as products,
            count(distinct code) as codes, sum(prices) / sum(priced) as price, max(last) as last
        from pairs join attributes using (product_id) join days using (user_id) group by 1
        """
    )


def segments(db: duckdb.DuckDBPyConnection) -> None:
    """K-Means over seven standardised features."""
    columns = db.execute(
        "select recency, days, ln(1 + coalesce(paid, 0)), coalesce(purchases / nullif(views, 0), 0), ln(1 + products), "
        "ln(1 + codes), coalesce(price, 0) from users order by user_id"
    ).fetchnumpy()
    table: NDArray[np.float64] = np.column_stack(
        [np.ma.filled(np.ma.asarray(column, dtype=float), 0) for column in columns.values()]
    )
    KMeans(5, n_init=1, max_iter=20, random_state=42).fit(StandardScaler().fit_transform(np.nan_to_num(table)))


class Models:
    """ALS and item-item cosine of a table of pairs."""

    def __init__(self, db: duckdb.DuckDBPyConnection, table: str):
        rated = db.execute(f"select user_id, product_id, rating from {table} where rating > 0").fetchnumpy()
        self.users, rows = np.unique(rated["user_id"], return_inverse=True)
        self.products, columns = np.unique(rated["product_id"], return_inverse=True)
        shape = (len(self.users), len(self.products))
        self.ratings = csr_matrix((rated["rating"], (rows, columns)), shape=shape)
        self.als = AlternatingLeastSquares(
            factors=50, iterations=15, regularization=0.1, alpha=1.0, random_state=42, num_threads=THREADS
        )
        self.cosine = CosineRecommender(K=50, num_threads=THREADS)
        for model in (self.als, self.cosine):
            model.fit(self.ratings, show_progress=False)


def evaluate(db: duckdb.DuckDBPyConnection, models: Models) -> dict[str, dict[str, float]]:
    """HR@10 and NDCG@10 of what users of the last day, seen before it, looked at."""
    rows = db.execute(
        f"select user_id, list(distinct product_id) from events where event_time >= {LAST_DAY} "
        f"group by 1 order by hash(user_id) limit {TEST_USERS}"
    ).fetchall()
    places = {user: place for place, user in enumerate(models.users.tolist())}
    known = [(places[user], set(products)) for user, products in rows if user in places]
    ids = np.array([place for place, _ in known])
    discounts = 1 / np.log2(np.arange(10) + 2)
    best = np.array([discounts[: min(10, len(wanted))].sum() for _, wanted in known])
    found = {}
    for name, model in (("als", models.als), ("cosine", models.cosine)):
        items, _ = model.recommend(ids, models.ratings[ids], N=10, filter_already_liked_items=False)
        answers = zip(models.products[items].tolist(), known, strict=True)
        hits = np.array([[product in wanted for product in answer] for answer, (_, wanted) in answers])
        found[name] = {
            "hr_10": round(float(hits.any(axis=1).mean()), 4),
            "ndcg_10": round(float((hits @ discounts / best).mean()), 4),
        }
    return found


def lists(db: duckdb.DuckDBPyConnection, models: Models, output: Path) -> int:
    """Ten products for each user of the last week, by both models, the first written."""
    active = db.execute(
        "select user_id from users where last >= (select max(event_time) - interval 7 day from events)"
    ).fetchnumpy()["user_id"]
    ids = np.searchsorted(models.users, active)
    with (output / "lists.csv").open("w") as file:
        for start in range(0, len(ids), BATCH):
            some = ids[start : start + BATCH]
            items, _ = models.als.recommend(some, models.ratings[some], N=10, filter_already_liked_items=False)
            models.cosine.recommend(some, models.ratings[some], N=10, filter_already_liked_items=False)
            rows = np.column_stack([np.repeat(models.users[some], 10), models.products[items].ravel()])
            np.savetxt(file, rows, fmt="%d", delimiter=",")
    return len(ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=file, required=True, help="a log in the layout of REES46")
    parser.add_argument("--output", type=folder, required=True, help="folder for what it writes")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", category=UserWarning, module="implicit")
    watch = Stopwatch()
    db = duckdb.connect(config={"threads": THREADS, "memory_limit": "12GB", "preserve_insertion_order": False})
    clean(db, arguments.events, arguments.output)
    watch.lap("clean")
    explore(db)
    watch.lap("explore")
    pairs(db, "pairs")
    pairs(db, "before", f"where event_time < {LAST_DAY}")
    if not db.execute("select 1 from before limit 1").fetchone():
        sys.exit(f"error: {arguments.events} has nothing before its last day to learn from; give a longer log")
    watch.lap("pairs")
    features(db)
    watch.lap("features")
    segments(db)
    watch.lap("segments")
    models = Models(db, "before")
    watch.lap("train before the test slice")
    quality = evaluate(db, models)
    watch.lap("evaluate")
    models = Models(db, "pairs")
    watch.lap("train on everything")
    active = lists(db, models, arguments.output)
    watch.lap("lists")
    counts = {"users": len(models.users), "products": len(models.products), "active": active}
    print(json.dumps({"seconds": watch.seconds, "stages": watch.stages, **counts, "quality": quality}))


if __name__ == "__main__":
    main()
