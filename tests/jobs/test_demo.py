"""The demonstrations: their shop's past is past, and they train as any other training, alone on their output."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest

from app.core.errors import InputError
from app.core.lease import training_lease
from app.core.settings import Settings
from app.jobs import demo


def test_the_shop_ends_with_yesterday(tmp_path: Path) -> None:
    """What is posted while it runs comes after all that was trained on."""
    shop = demo.make_shop(tmp_path / "shop", 2_000, 400, seed=1)
    today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    times = {path: pd.to_datetime(pd.read_csv(path)["event_time"], utc=True) for path in (shop.history, shop.live)}
    assert len(times[shop.live]) == shop.replayed == 400
    assert times[shop.history].min() >= today - timedelta(days=demo.DAYS)
    assert times[shop.history].max() <= times[shop.live].min()
    assert today - timedelta(days=1) < times[shop.live].max() < today


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
