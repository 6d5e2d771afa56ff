"""Arrays of serving made from lists, for tests."""

from collections.abc import Sequence

import numpy as np

from app.events.vocabulary import KINDS
from app.serve.exclusions import Exclusions
from app.serve.ragged import NONE, Ragged
from app.serve.users import UserTable
from app.serve.visits import Touches, Visitors, Visits

NOTHING = Exclusions(np.empty(0, np.int64))  #: is excluded: everything may be recommended
VIEWED, BOUGHT = KINDS.index("view"), KINDS.index("purchase")


def touches(
    products: Sequence[Sequence[int]],
    weights: Sequence[Sequence[float]] | None = None,
    bought: Sequence[Sequence[bool]] | None = None,
) -> Touches:
    """A list for each visit; viewed with a weight of 3 a second apart, unless said otherwise."""
    shape = Ragged.of_lengths(np.array([len(row) for row in products], np.int64))
    weights = weights or [[3.0] * len(row) for row in products]
    bought = bought or [[False] * len(row) for row in products]
    return Touches(
        shape,
        np.array([x for row in products for x in row], np.int64),
        np.array([BOUGHT if x else VIEWED for row in bought for x in row], np.int8),
        np.array([x for row in weights for x in row], np.float32),
        shape.places().astype(np.float64),
    )


def visitors(
    users: Sequence[int],
    products: Sequence[Sequence[int]],
    now: float = 0.0,
    weights: Sequence[Sequence[float]] | None = None,
    bought: Sequence[Sequence[bool]] | None = None,
) -> Visitors:
    return Visitors.of(users, now, touches(products, weights, bought))


def visits(
    items: Sequence[Sequence[int]],
    users: Sequence[int] | None = None,
    segments: Sequence[int] | None = None,
    fresh: Sequence[bool] | bool = True,
    weights: Sequence[Sequence[float]] | None = None,
) -> Visits:
    """Visits by position: what is touched is a session where `fresh`, else history."""
    n = len(items)
    weights = weights or [[3.0] * len(row) for row in items]
    news = [fresh] * n if isinstance(fresh, bool) else list(fresh)
    parts = [
        touches(
            [row if new == wanted else [] for row, new in zip(items, news, strict=True)],
            [row if new == wanted else [] for row, new in zip(weights, news, strict=True)],
        )
        for wanted in (False, True)
    ]
    unknown = np.full(n, NONE, np.int32)
    return Visits(
        unknown if users is None else np.array(users, np.int32),
        unknown if segments is None else np.array(segments, np.int32),
        parts[0],
        parts[1],
        np.array([row[-1] if row and new else NONE for row, new in zip(items, news, strict=True)], np.int32),
        np.zeros(n),
    )


def user_table(
    ids: Sequence[int],
    segments: Sequence[int],
    history: Touches | None = None,
    bought: Sequence[Sequence[tuple[int, int]]] | None = None,
) -> UserTable:
    """Purchases are (position, seconds since 1970), a list for each user."""
    lists = bought or [[] for _ in ids]
    flat = [pair for row in lists for pair in row]
    return UserTable(
        np.array(ids, np.int64),
        np.array(segments, np.int32),
        Touches.none(len(ids)) if history is None else history,
        Ragged.of_lengths(np.array([len(row) for row in lists], np.int64)),
        np.array([item for item, _ in flat], np.int32),
        np.array([at for _, at in flat], np.int64),
    )
