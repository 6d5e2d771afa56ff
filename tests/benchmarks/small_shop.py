"""A small synthetic shop, for benchmarks that test its last days."""

from pathlib import Path

from app.core.settings import Settings
from app.synthetic import generate


def small_shop(folder: Path) -> Settings:
    """Settings over its log, which is made in the folder: two generators, learned soon."""
    events = folder / "shop.synthetic.csv"
    generate(events, 6_000, 3, days=5)
    return Settings(
        events=str(events),
        generators="covisitation,popularity",
        blend_weights={"covisitation": 1.0, "popularity": 0.1},
        shuffle_partitions=2,
        bootstrap=50,
    )
