"""Files of the landing folder are deleted once the stream has long done with them."""

import os
import time
from pathlib import Path

import pytest

from app.stream import housekeeping
from app.stream.housekeeping import LANDING_MARGIN, clean_landing


def test_only_what_is_long_done_with_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    arrived = {"old.csv": now - 4_000, "edge.csv": now - 2_990, "new.csv": now, ".hidden.csv": 0.0, "_part.csv": 0.0}
    for name in arrived:
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(housekeeping, "_arrived", lambda path: arrived[path.name])
    clean_landing(tmp_path, now - 3_000 + LANDING_MARGIN)
    assert {path.name for path in tmp_path.iterdir()} == {*arrived, "folder"} - {"old.csv"}


def test_a_file_counts_from_its_arrival_not_from_its_making(tmp_path: Path) -> None:
    """Moved here with the time it was written at, long ago."""
    path = tmp_path / "made.csv"
    path.write_text("x")
    os.utime(path, (1, 1))
    clean_landing(tmp_path, time.time())
    assert path.exists()
    clean_landing(tmp_path, time.time() + LANDING_MARGIN + 60)
    assert not path.exists()
