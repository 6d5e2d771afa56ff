"""Learning popularity: bestsellers by segment and category."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.core import duck
from app.core.duck import Relation, query
from app.core.parts import read_table
from app.core.settings import Settings
from app.learn.tables import Tables
from app.serve.contract import top_per_row
from app.serve.generators.popularity import Popularity
from app.serve.ragged import NONE

SEGMENT_PRIOR = 0.2  #: how much of everyone's interest is mixed into a segment's: small ones are noisy


def fit_popularity(tables: Tables, settings: Settings) -> Popularity:
    """Lists by position."""
    catalogue = tables.catalogue
    with duck.connect(tables.folder) as connection:
        interest = read_table(connection, tables.interest)
        table = popular_products(
            interest, connection.from_arrow(_categories(tables)), settings.candidates
        ).to_arrow_table()
    segments, categories = settings.most_segments + 1, len(catalogue.categories) + 1
    cells = _or_last(table, "segment", segments) * categories + _or_last(table, "category", categories)
    items = catalogue.positions(table["product_id"].to_numpy())
    best = top_per_row(cells, items, table["score"].to_numpy(), segments * categories, settings.candidates)
    scores = (best.scores / np.maximum(best.scores[:, :1], 1e-9)).astype(np.float32)
    shape = (segments, categories, -1)
    return Popularity(best.items.reshape(shape), scores.reshape(shape), catalogue.category)


def _or_last(table: pa.Table, name: str, size: int) -> NDArray[np.int64]:
    """A row or column of the lists; the last one stands for all."""
    numbers = table[name].to_numpy()
    return np.where(numbers == NONE, size - 1, numbers)


def _categories(tables: Tables) -> pa.Table:
    """product_id and the number of its main category, of what may be recommended."""
    table = pa.table({"product_id": tables.catalogue.product_ids, "category": tables.catalogue.category})
    return table if tables.catalogue.available is None else table.filter(pa.array(tables.catalogue.available))


def segment_interest(pairs: Relation, segments: Relation) -> Relation:
    """What the users of a part make of each product, by segment.

    Parameters
    ----------
    pairs
        user_id, product_id, decayed.
    segments
        user_id, segment_id.

    Returns
    -------
    Relation
        segment (int, -1 = of whom nothing is known), product_id, interest (millionths of decayed rating).
    """
    return query(
        f"""
        select coalesce(segment_id, {NONE}) as segment, product_id,
            sum(round(decayed * 1e6)::bigint)::bigint as interest
        from pairs left join segments using (user_id) group by all
        """,
        pairs=pairs,
        segments=segments,
    )


def popular_products(interest: Relation, catalogue: Relation, n: int) -> Relation:
    """The most popular products by segment and category.

    Parameters
    ----------
    interest
        `segment_interest` of all parts.
    catalogue
        product_id, category (int).
    n
        Products kept per cell.

    Returns
    -------
    Relation
        segment (int, -1 = everyone), category (int, -1 = all), product_id, score.
    """
    return query(
        f"""
        with by_segment as (
            select segment, product_id, sum(interest) / 1e6 as decayed from interest
            group by segment, product_id having sum(interest) > 0
        ),
        overall as (select product_id, sum(decayed) as all_decayed from by_segment group by product_id),
        scores as (
            select segment, product_id, round(decayed + {SEGMENT_PRIOR} * all_decayed, 4) as score
            from by_segment join overall using (product_id) where segment <> {NONE}
            union all
            select {NONE} as segment, product_id, round(all_decayed, 4) as score from overall
        ),
        cells as (
            select segment, category, product_id, score from scores join catalogue using (product_id)
            union all
            select segment, {NONE} as category, product_id, score from scores join catalogue using (product_id)
        )
        select segment::int as segment, category::int as category, product_id, score::double as score from cells
        qualify row_number() over (partition by segment, category order by score desc, product_id) <= {n}
        """,
        interest=interest,
        catalogue=catalogue,
    )
