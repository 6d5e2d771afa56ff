"""Training end to end on a small synthetic shop: quality, determinism, gate, publication, restart."""

import csv
import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.registry import bundle
from app.registry.registry import Registry
from app.synthetic import generate
from app.train.run import Run, _judge, train
from app.train.summary import summary_lines

EVENTS = 24_000
NOW = datetime(2019, 11, 1, 8, tzinfo=UTC)
#: Settings with which the models cannot have learned anything.
BROKEN: dict[str, Any] = {"als_factors": 1, "als_iterations": 1, "blend_weights": {"popularity": 1.0}}
Found = dict[str, Any]


class Shop:
    """One output folder, trained into again and again, an hour apart."""

    def __init__(self, spark: SparkSession, output: Path):
        self.spark, self.output, self.runs = spark, output, 0
        self.models = output / "models"
        self.said: list[str] = []

    def train(self, events: Path | None, **changes: Any) -> Found:
        self.runs += 1
        settings = Settings(
            events=str(events) if events else None,
            output=self.output,
            shuffle_partitions=2,
            als_factors=16,
            als_iterations=5,
            bootstrap=100,
            evaluation_queries=3000,
            test_days=2,  # a small shop: two days make enough queries
        ).model_copy(update=changes)
        return train(self.spark, settings, NOW + timedelta(hours=self.runs), self.said.append)

    def lists(self, name: str) -> list[tuple[str, ...]]:
        """The rows of a file of lists but for version and time, in an order of their own."""
        with (self.output / name).open(newline="") as file:
            return sorted(tuple(row.values())[:-2] for row in csv.DictReader(file))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "shop.synthetic.csv"
    generate(path, EVENTS, seed=7)
    return path


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(spark, tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def first(shop: Shop, log: Path) -> Found:
    """A training as it should be; its lists are kept aside."""
    found = shop.train(log)
    shutil.copy(shop.output / "merged_recommendations.csv", shop.output / "first.csv")
    return found


@pytest.fixture(scope="module")
def refused(shop: Shop, first: Found) -> Found:
    """Models that learned nothing, from the cleaned table of the first run."""
    incomplete = shop.output / "processed" / "cleaned_data_20991231_235959"  # newer, but never finished
    incomplete.mkdir()
    (incomplete / "part-0.parquet").write_bytes(b"half of a file")
    found = shop.train(None, **BROKEN)
    shutil.copy(shop.output / "merged_recommendations.csv", shop.output / "refused.csv")
    return found


def test_after_a_refusal_the_lists_are_still_the_champions(refused: Found, shop: Shop) -> None:
    assert shop.lists("refused.csv") == shop.lists("first.csv")


def quality(found: Found, task: str, model: str) -> dict[str, float]:
    (row,) = (
        row for row in found["quality"]["rows"] if (row["task"], row["model"], row["slice"]) == (task, model, "all")
    )
    assert row["queries"] >= 300
    return dict(row["ndcg_10"])


#: How many times the NDCG@10 of the most popular products the blend must have. Measured with seed 7: 4.5 and 2.2
#: times; models that learned nothing do not reach it (the test after the next).
MARGIN = {"session": 3.0, "user": 1.7}


def beats_popularity(found: Found, task: str) -> bool:
    blend, popular = quality(found, task, "blend"), quality(found, task, "most_popular")
    return blend["low"] > popular["high"] and blend["mean"] > MARGIN[task] * popular["mean"]


@pytest.mark.parametrize("task", ["session", "user"])
def test_the_blend_beats_popularity_clearly(first: Found, task: str) -> None:
    assert beats_popularity(first, task)


@pytest.mark.parametrize("task", ["session", "user"])
def test_models_that_learned_nothing_do_not_reach_the_margin(refused: Found, task: str) -> None:
    assert not beats_popularity(refused, task)


def test_manifest_says_what_the_design_lists(first: Found, shop: Shop) -> None:
    manifest = bundle.verify(Path(first["paths"]["bundle"]))
    totals = first["exploration"]["totals"]
    assert manifest["training_date"] == "2019-11-01T09:00:00+00:00"
    assert manifest["total_users"] == totals["users"]
    assert manifest["total_products"] == totals["products"]
    assert manifest["total_interactions"] == first["exploration"]["rows"]["kept"]
    assert manifest["segments_count"] == 5
    assert manifest["data_window"] == {"start": totals["first"], "end": totals["last"]}
    assert (manifest["parameters"]["als_factors"], manifest["parameters"]["seed"]) == (16, 42)
    assert manifest["metrics"]["session/blend"]["ndcg_10"] == quality(first, "session", "blend")["mean"]
    assert manifest["schema_version"] == bundle.SCHEMA_VERSION
    assert manifest["synthetic"] is True
    files = {str(path.relative_to(first["paths"]["bundle"])) for path in Path(first["paths"]["bundle"]).rglob("*.*")}
    assert set(manifest["files"]) == files - {"manifest.json"}
    assert "influx_token" not in json.dumps(manifest["parameters"]) or manifest["parameters"]["influx_token"] is None


def test_every_row_is_accounted_for(first: Found) -> None:
    rows = first["exploration"]["rows"]
    assert rows["read"] == EVENTS == rows["kept"] + rows["duplicates"] + rows["rejected"]
    assert rows["duplicates"] > 0


def test_bundle_is_opened_with_its_segments(first: Found) -> None:
    opened = bundle.Bundle.open(Path(first["paths"]["bundle"]))
    assert len(opened.segments.names) == 5
    assert len(opened.recommender.users.ids) == first["exploration"]["totals"]["users"]


def test_lists_are_of_ten_products_for_each_active_user(first: Found, shop: Shop) -> None:
    with (shop.output / "first.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    users = {row["user_id"] for row in rows}
    assert len(users) > 900
    assert len(rows) == 10 * len(users)
    assert len({(row["user_id"], row["product_id"]) for row in rows}) == len(rows)
    assert {row["model_version"] for row in rows} == {first["version"]}
    assert {row["source"] for row in rows} <= {"als", "covisitation", "popularity"}


def test_run_report_and_summary(first: Found, shop: Shop) -> None:
    assert next(stage["stage"] for stage in first["stages"]) == "clean"
    assert len(first["stages"]) == 9  # the tenth is the report, which shows them
    assert all(stage["seconds"] >= 0 for stage in first["stages"])
    lines = summary_lines(first)
    assert f"{EVENTS:,} rows read" in lines[0]
    assert any(line.startswith("Task session, blend: NDCG@10 0.") for line in lines)
    assert any(line.startswith("Bundle 20191101_090000 published: there was no champion") for line in lines)
    assert any(line.startswith("Synthetic data") for line in lines)
    assert Path(first["paths"]["report"]).read_text().lstrip().startswith("<!")
    assert set(first["paths"]) == {"cleaned", "bundle", "recommendations", "merged_csv", "report", "run"}
    assert all(Path(path).exists() for path in first["paths"].values())
    assert len([line for line in shop.said if "10/10]" in line]) >= 2  # its beginning and its end


def test_processed_tables_are_kept_and_scratch_is_not(first: Found, shop: Shop) -> None:
    names = {path.name for path in (shop.output / "processed").iterdir()}
    assert {f"{kind}_20191101_090000" for kind in ("cleaned_data", "user_behavior", "product_data")} <= names
    assert not list(shop.output.glob(".work*"))


def test_a_run_without_a_log_starts_from_the_latest_complete_table(refused: Found, first: Found) -> None:
    assert refused["paths"]["cleaned"] == first["paths"]["cleaned"]
    assert refused["exploration"]["totals"] == first["exploration"]["totals"]
    assert refused["exploration"]["rows"] == first["exploration"]["rows"]
    assert refused["synthetic"] is True, "a table made from synthetic events says so for ever"


def test_a_worse_bundle_is_refused_with_its_reason_and_kept_aside(refused: Found, first: Found, shop: Shop) -> None:
    assert refused["gate"]["published"] is False
    assert f"worse than champion {first['version']}" in refused["gate"]["reason"]
    assert "NDCG@10" in refused["gate"]["reason"]
    assert Path(refused["paths"]["bundle"]).is_dir()
    assert any(f"Bundle {refused['version']} NOT published: worse" in line for line in summary_lines(refused))


def test_forced_it_would_be_published_and_rollback_goes_back_one(refused: Found, first: Found, shop: Shop) -> None:
    """The gate asked again about the same figures; what a training does with its word is seen above."""
    assert Registry(shop.models).history() == [first["version"]], "the champion stayed"
    forcing = Settings(output=shop.output, force_publish=True)
    run = Run.start(shop.spark, forcing, NOW, 1, shop.said.append)
    verdict = _judge(run, {}, refused["quality"]["rows"], shop.models / first["version"])
    assert verdict.publish is True
    assert verdict.reason.startswith("forced, though worse than champion")
    assert run.found["gate"] == {"published": True, "reason": verdict.reason, "champion": first["version"]}
    Registry(shop.models).publish(refused["version"])
    assert Registry(shop.models).rollback() == (refused["version"], first["version"])
    assert Registry(shop.models).champion() == shop.models / first["version"]


def test_same_events_and_seed_give_the_same_lists_in_whatever_order_they_come(
    spark: SparkSession, first: Found, shop: Shop, log: Path, tmp_path: Path
) -> None:
    """Two runs of their own: another folder, another time, and the rows of the log in another order."""
    header, *rows = log.read_text().splitlines()
    random.Random(1).shuffle(rows)
    shuffled = tmp_path / "shuffled.synthetic.csv"
    shuffled.write_text("\n".join([header, *rows]) + "\n")
    other = Shop(spark, tmp_path / "shop")
    found = other.train(shuffled)
    assert found["exploration"]["event_mix"] == first["exploration"]["event_mix"]
    for again, before in zip(found["segments"]["segments"], first["segments"]["segments"], strict=True):
        assert again == pytest.approx(before)
    assert other.lists("merged_recommendations.csv") == shop.lists("first.csv")
