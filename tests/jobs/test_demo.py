"""The demonstrations' shop: its past is past."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pandas as pd

from app.jobs.demo import DAYS, make_shop


def test_the_shop_ends_with_yesterday(tmp_path: Path) -> None:
    """What is posted while it runs comes after all that was trained on."""
    shop = make_shop(tmp_path / "shop", 2_000, 400, seed=1)
    today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    times = {path: pd.to_datetime(pd.read_csv(path)["event_time"], utc=True) for path in (shop.history, shop.live)}
    assert len(times[shop.live]) == shop.replayed == 400
    assert times[shop.history].min() >= today - timedelta(days=DAYS)
    assert times[shop.history].max() <= times[shop.live].min()
    assert today - timedelta(days=1) < times[shop.live].max() < today
