"""What a training writes into a manifest is read back by the next; other manifests are refused by name."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import BundleError
from app.core.settings import Settings
from app.evaluate.results import Verdict
from app.train.manifest import DataWindow, ManifestEntries
from tests.finished_run import quality_row

ENTRIES = ManifestEntries(
    training_date=datetime(2019, 11, 1, 8, tzinfo=UTC),
    total_users=300,
    total_products=50,
    total_interactions=1_000,
    segments_count=5,
    data_window=DataWindow(start=datetime(2019, 10, 1), end=datetime(2019, 10, 31)),
    synthetic=False,
    parameters=Settings().recorded(),
    metrics={"session/blend": {"ndcg_10": 0.3}},
    quality=(quality_row("blend", "all", 0.3),),
    silhouette=None,
    gate=Verdict(published=True, reason="there was no champion"),
)


def manifest(**changes: Any) -> dict[str, Any]:
    """As the registry writes it, with its own entries."""
    whole = {"schema_version": 1, "version": "a", **ENTRIES.dumped(), "files": {}}
    return dict(json.loads(json.dumps(whole))) | changes


def test_entries_are_read_as_they_were_written() -> None:
    assert ManifestEntries.read(Path("a"), manifest()) == ENTRIES


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"quality": [{"task": "session", "model": "blend", "slice": "all", "queries": 9}]}, r"quality\.0\.metrics"),
        ({"data_window": {}}, r"data_window\.start"),
        ({"total_users": None}, "total_users"),
    ],
)
def test_a_manifest_of_another_edition_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BundleError, match=rf"bundle a: its manifest is of another edition \({says}: .*; train again"):
        ManifestEntries.read(Path("a"), manifest(**changes))
