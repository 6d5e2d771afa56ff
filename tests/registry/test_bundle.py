"""A bundle is opened whole and unchanged, or refused by name."""

import json
import os
from pathlib import Path

import pytest

from app.core.errors import BundleError
from app.registry import bundle
from app.registry.manifest import MANIFEST, SCHEMA_VERSION
from tests.damage import turn_one_bit
from tests.registry.bundles import make


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    make(tmp_path, "a")
    turn_one_bit(tmp_path / "a" / "users.npy", 50)
    with pytest.raises(BundleError, match=r"users\.npy is damaged"):
        bundle.verify(tmp_path / "a")


def test_a_truncated_or_missing_file_is_found(tmp_path: Path) -> None:
    make(tmp_path, "a")
    os.truncate(tmp_path / "a" / "users.npy", 10)
    with pytest.raises(BundleError, match=r"users\.npy is damaged"):
        bundle.verify(tmp_path / "a")
    (tmp_path / "a" / "users.npy").unlink()
    with pytest.raises(BundleError, match=r"users\.npy cannot be read"):
        bundle.verify(tmp_path / "a")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        '{"schema_version": 3}',
        '{"schema_version": 3, "files": [1]}',
        '{"schema_version": 3, "files": {"users.npy": {}}}',
        "\udcff",
    ],
)
def test_a_missing_or_damaged_manifest_is_a_bundle_error(content: str | None, tmp_path: Path) -> None:
    make(tmp_path, "a")
    path = tmp_path / "a" / MANIFEST
    path.unlink()
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match=MANIFEST):
        bundle.verify(tmp_path / "a")


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "a")
    path = tmp_path / "a" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(
        BundleError, match=f"has schema version {SCHEMA_VERSION + 1}, .* reads {SCHEMA_VERSION}; .* vitrine train"
    ):
        bundle.verify(tmp_path / "a")


def test_every_file_is_checked_at_opening_unless_told_otherwise(tmp_path: Path) -> None:
    make(tmp_path, "a")
    (tmp_path / "a" / "generators" / "als" / "factors.npy").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"generators/als/factors\.npy is damaged"):
        bundle.Bundle.open(tmp_path / "a")
    with pytest.raises(BundleError, match="cannot be opened"):  # for it has no recommender
        bundle.Bundle.open(tmp_path / "a", check=False)


def test_a_bundle_without_a_recommender_cannot_be_opened(tmp_path: Path) -> None:
    make(tmp_path, "a")
    with pytest.raises(BundleError, match="cannot be opened"):
        bundle.Bundle.open(tmp_path / "a")
