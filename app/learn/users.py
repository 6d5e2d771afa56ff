"""The table of users that a bundle remembers."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds

from app.core.duck import Relation, query
from app.features.sessions import touch_arrays
from app.serve.catalogue import Catalogue
from app.serve.ragged import NONE, Ragged
from app.serve.users import UserTable
from app.serve.visits import Touches


def user_histories(pairs: Relation, segments: Relation, n: int) -> Relation:
    """The latest products of each user, and what was bought when.

    Parameters
    ----------
    pairs
        `user_product_pairs`.
    segments
        user_id, segment_id.
    n
        Products kept per user.

    Returns
    -------
    Relation
        user_id, user_key, segment_id, `TOUCHES` (arrays, oldest first, at most n), bought_ids (array of long),
        bought_at (array of long, seconds since 1970).
    """
    return query(
        f"""
        with touched as (
            select user_id, max(user_key) as user_key, {touch_arrays("last_seen", "rating::float", n)}
            from pairs group by user_id
        ),
        bought as (
            select user_id, list_sort(list(struct_pack(
                product_id := product_id, at_second := floor(epoch(last_purchase))::bigint
            ))) as bought
            from pairs where last_purchase is not null group by user_id
        )
        select user_id, user_key, segment_id, product_ids, kinds, weights, times,
            coalesce(list_transform(bought, lambda x: x.product_id), []) as bought_ids,
            coalesce(list_transform(bought, lambda x: x.at_second), []) as bought_at
        from touched left join bought using (user_id) left join segments using (user_id)
        """,
        pairs=pairs,
        segments=segments,
    )


def read_users(folder: Path, catalogue: Catalogue) -> UserTable:
    """The user table, from the Parquet files of `user_histories`; products not in the catalogue are left out."""
    table = ds.dataset(folder, format="parquet").to_table().sort_by("user_id").combine_chunks()
    touches = Touches.of_table(table)
    bought, bought_at = table["bought_ids"].combine_chunks(), table["bought_at"].combine_chunks()
    return UserTable(
        table["user_id"].to_numpy(),
        pc.fill_null(table["segment_id"], NONE).to_numpy().astype(np.int32),
        touches.placed(catalogue.positions(touches.products)),
        Ragged.of_lists(bought),
        catalogue.positions(bought.flatten().to_numpy()),
        bought_at.flatten().to_numpy(),
        None if table["user_key"].null_count == len(table) else table["user_key"].combine_chunks(),
    )
