"""What the log of posted events holds: batches of accepted events."""

from datetime import datetime
from typing import Self

from pydantic import Field

from app.core.part import Part
from app.events.vocabulary import EventType


class AcceptedEvent(Part):
    """A posted event after it was checked: ids as text, a moment with a zone, an id of its own."""

    event_id: str
    event_time: datetime
    event_type: EventType
    product_id: str
    user_id: str
    user_session: str | None = None
    category_id: int | None = None
    category_code: str | None = None
    brand: str | None = None
    price: float | None = None
    quantity: float | None = None
    recommendation_id: str | None = None


class EventBatch(Part):
    """Events that became durable together, numbered from 1 without a gap; `at`: when, seconds since 1970."""

    number: int = Field(ge=1)
    at: float
    events: tuple[AcceptedEvent, ...]

    def line(self) -> bytes:
        """The batch as a line of the log."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Self:
        return cls.model_validate_json(line)
