"""What a training writes into a manifest is read back by the next; other manifests are refused by name."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import BundleError
from app.core.settings import Settings
from app.evaluate.results import Verdict
from app.registry.manifest import Manifest
from app.train.manifest import DataWindow, ManifestEntries
from tests.finished_run import quality_row

ENTRIES = ManifestEntries(
    training_date=datetime(2019, 11, 1, 8, tzinfo=UTC),
    total_users=300,
    total_products=50,
    total_events=1_000,
    segments_count=5,
    data_window=DataWindow(start=datetime(2019, 10, 1), end=datetime(2019, 10, 31)),
    synthetic=False,
    parameters=Settings().recorded(),
    metrics={"session/blend": {"ndcg_10": 0.3}},
    quality=(quality_row("blend", "all", 0.3),),
    silhouette=None,
    gate=Verdict(published=True, reason="there was no champion"),
)


def manifest(**changes: Any) -> Manifest:
    """As the registry writes it, with its own entries."""
    return Manifest.model_validate(json.loads(Manifest.of("a", ENTRIES, {}).text()) | changes)


def test_entries_are_read_as_they_were_written() -> None:
    assert ManifestEntries.read(Path("a"), manifest()) == ENTRIES


def test_a_manifest_that_calls_events_interactions_is_read() -> None:
    written = json.loads(Manifest.of("a", ENTRIES, {}).text())
    written["total_interactions"] = written.pop("total_events")
    assert ManifestEntries.read(Path("a"), Manifest.model_validate(written)) == ENTRIES


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"quality": [{"task": "session", "model": "blend", "slice": "all", "queries": 9}]}, r"quality\.0\.metrics"),
        ({"data_window": {}}, r"data_window\.start"),
        ({"total_users": None}, "total_users"),
    ],
)
def test_a_manifest_from_another_version_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    refusal = rf"bundle a: its manifest is from another version of Vitrine \({says}: .*; train again"
    with pytest.raises(BundleError, match=refusal):
        ManifestEntries.read(Path("a"), manifest(**changes))
