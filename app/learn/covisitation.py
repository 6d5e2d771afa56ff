"""Learning co-visitation: the most similar products of each product, from sessions."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql.pandas.types import to_arrow_schema

from app.core import duck
from app.core.duck import Relation, query
from app.core.parts import Part, by_part, part_files, read_table, write_parts, write_table
from app.core.settings import Settings
from app.learn.tables import Tables
from app.serve.contract import top_per_row
from app.serve.generators.covisitation import CoVisitation

SHRINKAGE = 5.0  #: sessions added to the denominator
_PAIRS = "product_id long, other_id long, shared double"


def fit_covisitation(tables: Tables, settings: Settings) -> CoVisitation:
    """Neighbours by position."""
    n = settings.covisitation_neighbours
    table = pq.read_table(_similar(tables, n, tables.folder / "covisitation"))
    rows = tables.catalogue.positions(table["product_id"].to_numpy())
    items = tables.catalogue.positions(table["other_id"].to_numpy())
    similarity = table["similarity"].to_numpy()
    if tables.catalogue.available is not None:  # what may not be recommended takes nobody's place
        there = tables.catalogue.available[items]
        rows, items, similarity = rows[there], items[there], similarity[there]
    best = top_per_row(rows, items, similarity, len(tables.catalogue), n)
    return CoVisitation(best.items, best.scores)


def _similar(tables: Tables, neighbours: int, folder: Path) -> Path:
    """The table of `similar_products`, by way of sums in the parts of the sessions and one shuffle by product."""
    spark, touches = tables.spark, tables.touches
    folder.mkdir(exist_ok=True)

    def count(part: Part) -> None:
        sessions = part.read(touches)
        part.write("shared", shared_sessions(sessions))
        part.write("norms", norms(sessions))

    by_part(spark, len(part_files(touches)), count, folder)
    with duck.connect(folder) as connection:
        parts = read_table(connection, folder / "norms")
        write_table(connection, parts.aggregate("product_id, sum(norm) as norm"), folder / "norm")
    by_product = spark.read.schema(_PAIRS).parquet(str(folder / "shared")).repartition("product_id")
    schema = to_arrow_schema(by_product.schema)

    def choose(part: Part, rows: pa.RecordBatchReader) -> None:
        shared = part.connection.from_arrow(pa.RecordBatchReader.from_batches(schema, rows))
        norm = read_table(part.connection, folder / "norm")
        part.write("similar", similar_products(shared, norm, neighbours))

    write_parts(by_product, choose, folder)
    return folder / "similar"


def shared_sessions(touches: Relation) -> Relation:
    """What the sessions of a part say of pairs of products, each pair in both directions.

    Parameters
    ----------
    touches
        product_ids (array of distinct products of a session), weights (array of float).

    Returns
    -------
    Relation
        product_id, other_id, shared (sum over sessions of the root of the product of their weights).
    """
    # The root, so that a purchase counts for more than a view, but not five-fold.
    return query(
        """
        with sessions as (select row_number() over () as session, * from touches where len(product_ids) > 1),
        entries as (
            select session, unnest(product_ids) as product_id, sqrt(unnest(weights)::double) as root from sessions
        ),
        halves as (
            select one.product_id as one_id, other.product_id as other_id, sum(one.root * other.root) as shared
            from entries one join entries other
                on one.session = other.session and one.product_id < other.product_id
            group by all
        )
        select one_id as product_id, other_id, shared from halves
        union all
        select other_id as product_id, one_id as other_id, shared from halves
        """,
        touches=touches,
    )


def norms(touches: Relation) -> Relation:
    """How often each product is touched in the sessions of a part: product_id, norm (sum of weights)."""
    return query(
        "select product_id, sum(weight::double) as norm "
        "from (select unnest(product_ids) as product_id, unnest(weights) as weight from touches) group by product_id",
        touches=touches,
    )


def similar_products(shared: Relation, norm: Relation, neighbours: int) -> Relation:
    """The most similar products of each product.

    Parameters
    ----------
    shared
        `shared_sessions` of all parts, all rows of a product.
    norm
        `norms` of all parts, summed.
    neighbours
        How many are kept.

    Returns
    -------
    Relation
        product_id, other_id, similarity (0..1).
    """
    # Rounded: the last bits of a floating sum depend on the order of the rows.
    return query(
        f"""
        with sums as (select product_id, other_id, round(sum(shared), 6) as shared from shared group by all)
        select sums.product_id, sums.other_id,
            sums.shared / (sqrt(own.norm * other.norm) + {SHRINKAGE}) as similarity
        from sums join norm own on own.product_id = sums.product_id join norm other on other.product_id = sums.other_id
        qualify row_number() over (partition by sums.product_id order by similarity desc, sums.other_id) <= {neighbours}
        """,
        shared=shared,
        norm=norm,
    )
