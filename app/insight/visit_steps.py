"""Events in the order of their visit, each with what came next: what funnels and paths are counted on."""

from app.core.duck import Relation, query
from app.events.vocabulary import EVENT_TYPES

#: Code of an event's type in `EVENT_TYPES`, the order of events of one moment: whoever looks and buys in the same
#: second has looked first.
CODE = "(case event_type " + " ".join(f"when '{name}' then {code}" for code, name in enumerate(EVENT_TYPES)) + " end)"
PLACES = 16  #: a spot is so many times the event's place in its visit, plus what came next
LEFT = 0  #: what came next where nothing did; else 1 + twice the next event's code, plus 1 if of the same product


def visit_steps(events: Relation, products: Relation) -> Relation:
    """Events by visit, in order.

    Parameters
    ----------
    events
        The events table, all events of a user.
    products
        `app.insight.shop_products.shop_products`.

    Returns
    -------
    Relation
        visit (a user's session), user_id, event_time, kind (code in `EVENT_TYPES`), category, band, next_kind,
        next_category (null at the end), moved (whether the next event, if any, is of another product), spot (place in
        the visit and what came next in one number, whose minimum is the first event with its next one).
    """
    return query(
        f"""
        with coded as (
            select hash(user_id, session_id) as visit, user_id, event_time, {CODE}::tinyint as kind, product_id,
                category::tinyint as category, band::tinyint as band
            from events join products using (product_id)
        ),
        ordered as (
            select *, row_number() over visits as place, lead(kind) over visits as next_kind,
                lead(product_id) over visits as next_product, lead(category) over visits as next_category
            from coded window visits as (partition by visit order by event_time, kind, product_id)
        )
        select visit, user_id, event_time, kind, category, band, next_kind, next_category,
            next_product is distinct from product_id as moved,
            place * {PLACES} + case when next_kind is null then {LEFT}
                else 1 + 2 * next_kind + (next_product = product_id)::int end as spot
        from ordered
        """,
        events=events,
        products=products,
    )


def what_next(code: int) -> tuple[str | None, bool]:
    """Type of the next event and whether it was of the same product, from what a spot says of it."""
    return (None, False) if code == LEFT else (EVENT_TYPES[(code - 1) // 2], bool((code - 1) % 2))
