"""A demonstration trains as any other training: alone on its output."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from unittest.mock import Mock

import pytest

from app.core.errors import InputError
from app.core.lease import training_lease
from app.core.settings import Settings
from app.jobs import demo


def test_a_demonstration_holds_the_lease_while_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []

    def train(spark: Mock, settings: Settings, now: datetime, say: Mock, check: Callable[[], None]) -> None:
        check()
        held.append(training_lease(tmp_path).seems_held())
        raise InputError("enough")

    monkeypatch.setattr(demo, "create_session", Mock())
    monkeypatch.setattr(demo, "train", train)
    for _ in range(2):  # the first has given it back
        stream = demo.trained_stream(Settings(output=tmp_path), tmp_path / "log")
        with pytest.raises(InputError, match="enough"), stream:
            pytest.fail("the training has failed")
    assert held == [True, True]
    assert not training_lease(tmp_path).seems_held()
