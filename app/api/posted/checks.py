"""Posted events checked: what the stream would reject is refused."""

import uuid
from datetime import UTC, datetime, timedelta

from app.api.models import Id, PostedEvent, PostedEvents
from app.api.posted.batches import AcceptedEvent
from app.api.problems import Fault, RefusedError
from app.core.settings import Settings
from app.events.ids import number_of, written
from app.events.layout import Layout
from app.events.vocabulary import EARLIEST

FIRST_MOMENT = datetime.fromisoformat(EARLIEST).replace(tzinfo=UTC)
MOST_FAULTS = 20


def accepted_events(
    posted: PostedEvent | PostedEvents, settings: Settings, layout: Layout, moment: float
) -> list[AcceptedEvent]:
    """The events of a request, ids as text.

    Parameters
    ----------
    posted
        One event or many.
    settings
        `clock_tolerance_minutes`.
    layout
        Of the shop.
    moment
        Now, seconds since 1970.

    Raises
    ------
    RefusedError
        One of them can't be an event of this shop.
    """
    if isinstance(posted, PostedEvents):
        events = {f"body/events/{place}": event for place, event in enumerate(posted.events)}
    else:
        events = {"body": posted}
    now = datetime.fromtimestamp(moment, UTC)
    latest = now + timedelta(minutes=settings.clock_tolerance_minutes)
    faults: list[Fault] = []
    accepted = []
    for place, event in events.items():
        wrong = _wrong(event, layout, latest)
        faults += [Fault(where=f"{place}/{where}", detail=detail) for where, detail in wrong.items()]
        if not wrong:
            accepted.append(_accepted(event, now))
    if faults:
        detail = f"{faults[0].where}: {faults[0].detail}; no event was taken"
        raise RefusedError(422, detail, errors=faults[:MOST_FAULTS])
    return accepted


def _wrong(event: PostedEvent, layout: Layout, latest: datetime) -> dict[str, str]:
    """What would make the stream reject an event, by field."""
    wrong: dict[str, str] = {}
    text_ids = layout.ids == "text"
    for name in ("product_id", "user_id"):
        if number_of(getattr(event, name), text_ids) is None:
            wrong[name] = "is no id of this shop: " + ("it stands for nothing" if text_ids else "ids are integers")
    if event.event_id is not None and written(event.event_id) is None:
        wrong["event_id"] = "stands for nothing"
    if event.event_time is not None and not FIRST_MOMENT <= event.event_time <= latest:
        wrong["event_time"] = "is out of range: before 2000, or too far in the future"
    if layout.event_type not in (None, event.event_type):
        wrong["event_type"] = f"the layout of this shop has {layout.event_type} alone"
    return wrong


def _accepted(event: PostedEvent, now: datetime) -> AcceptedEvent:
    ids: dict[str, Id | None] = {
        "event_id": event.event_id or str(uuid.uuid4()),
        "product_id": event.product_id,
        "user_id": event.user_id,
        "user_session": event.user_session,
        "recommendation_id": event.recommendation_id,
    }
    kept = event.model_dump(exclude={*ids, "event_time"})
    texts = {name: None if value is None else written(value) for name, value in ids.items()}
    moment = (event.event_time or now).astimezone(UTC)
    return AcceptedEvent.model_validate(kept | texts | {"event_time": moment})
