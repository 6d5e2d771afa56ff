"""Metrics of the API: which series there are before anything has happened."""

import re
from pathlib import Path

from app.api import service
from app.api.metrics import EVENT_OUTCOMES, ApiMetrics


def test_events_of_every_outcome_are_counted_from_zero() -> None:
    """An alert on an increase would miss the first failure of a series that begins with it."""
    registry = ApiMetrics().registry
    for outcome in ("accepted", "duplicate", "rejected", "failed"):
        assert registry.get_sample_value("vitrine_api_events_total", {"outcome": outcome}) == 0


def test_outcomes_are_those_that_the_service_counts() -> None:
    source = Path(str(service.__file__)).read_text(encoding="utf-8")
    assert set(re.findall(r"metrics\.events\.labels\(\"(\w+)\"\)", source)) == set(EVENT_OUTCOMES)
