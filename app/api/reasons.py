"""Why a product is in a list, in words."""

from typing import NamedTuple

from app.api.models import Reason, ReasonKind, Touched

#: By source, with a touched product that speaks for the place.
WITH_PRODUCT = {
    "als": "liked by those who like {name}",
    "covisitation": "often seen together with {name}",
    "session_walk": "often looked at after {name}",
    "item_graph": "close to {name} in what people look at",
    "content": "much like {name}",
}
OTHERWISE = "because of {name}"
WHERE: dict[Touched, str] = {"session": "seen in this session", "history": "seen in an earlier visit"}


class Cause(NamedTuple):
    """The touched product that speaks most for a place: its id and name, and where it was touched, if that matters."""

    product_id: str
    name: str
    touched_in: Touched | None


def reason(product_id: str, source: str, cause: Cause | None, category: str | None) -> Reason:
    """The reason of one place.

    Parameters
    ----------
    product_id
        Of the place.
    source
        Generator that contributed most to it.
    cause
        None if no touched product speaks for it.
    category
        The place's main category, if the visit asked for it or has touched it.
    """
    if cause is None:
        kind: ReasonKind = "category" if category else "shop"
        return Reason(kind, f"popular in {category or 'the shop'}")
    text = WITH_PRODUCT.get(source, OTHERWISE).format(name=cause.name)
    if cause.touched_in is not None:
        where = WHERE[cause.touched_in]
        text = where if cause.product_id == product_id else f"{text}, {where}"
    return Reason(cause.touched_in or "product", text, cause.product_id, cause.touched_in)
