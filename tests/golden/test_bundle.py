"""A bundle of the first edition: arrays that this one has no names for."""

import tarfile
from pathlib import Path

import pytest

from app.core.errors import BundleError
from app.registry.bundle import Bundle
from app.registry.manifest import SCHEMA_VERSION

GOLDEN = Path(__file__).parent / "edition_1" / "bundle.tar.xz"


def test_it_is_refused_by_its_schema_with_what_to_do(tmp_path: Path) -> None:
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    reads = f"but this version of Vitrine reads {SCHEMA_VERSION}"
    told = f"has schema version 1, {reads}; make a new one with vitrine train"
    with pytest.raises(BundleError, match=told) as refused:
        Bundle.open(folder)
    assert str(folder) in str(refused.value)
