"""Training end to end on a small synthetic shop: quality, determinism, gate, publication, restart."""

import csv
import gzip
import json
import random
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.folders import Output, is_synthetic
from app.core.settings import Settings
from app.evaluate.names import USER
from app.evaluate.results import MetricInterval, Quality, find_row
from app.insight.figures import TABLES
from app.insight.results import Exploration
from app.registry import bundle
from app.registry.manifest import MANIFEST, SCHEMA_VERSION
from app.registry.registry import Registry
from app.results.files import read_run
from app.results.run import RunResult
from app.train.context import Run
from app.train.evaluation import decide, in_use
from app.train.manifest import DataWindow, ManifestEntries
from app.train.summary import summary_lines
from tests.train.shop import BROKEN, EVENTS, GOLDEN, NOW, Shop, lists


@pytest.fixture(scope="module")
def refused(shop: Shop, first: RunResult) -> RunResult:
    """Models that learned nothing, from the cleaned table of the first run."""
    incomplete = shop.output / "processed" / "cleaned_data_20991231_235959"  # newer, but never finished
    incomplete.mkdir()
    (incomplete / "part-0.parquet").write_bytes(b"half of a file")
    found = shop.train(None, **BROKEN)
    shutil.copy(shop.output / "merged_recommendations.csv", shop.output / "refused.csv")
    return found


def test_after_a_refusal_the_lists_are_still_the_champions(refused: RunResult, shop: Shop) -> None:
    assert lists(shop.output, "refused.csv") == lists(shop.aside)


def test_lists_are_those_of_the_first_edition(first: RunResult, shop: Shop) -> None:
    """But for the share of popularity, which goes by segments, and these are others today: it decides between places
    whose scores by ALS and co-visitation are near each other, and seldom the first.
    """
    before = pd.read_parquet(GOLDEN / "lists.parquet")
    now = pd.read_csv(shop.aside / "merged_recommendations.csv").sort_values(["user_id", "rank"], ignore_index=True)
    pd.testing.assert_frame_equal(now[["user_id", "rank"]], before[["user_id", "rank"]], check_dtype=False)
    both = before.merge(now, on=["user_id", "product_id"], suffixes=("", "_now"))
    assert len(both) > 0.95 * len(before)
    assert both["source_now"].tolist() == both["source"].tolist()
    leading = before["rank"] == 1
    assert (now["product_id"] == before["product_id"])[leading].mean() > 0.85


def test_figures_are_those_of_the_first_edition(first: RunResult) -> None:
    """Exactly, but for what follows segments, which no longer know the test slice and are found by another K-Means
    (popularity, blend), and sessions, which are cut at a place that another hash chooses: there intervals meet.
    """
    before = json.loads(gzip.decompress((GOLDEN / "figures.json.gz").read_bytes()))
    assert first.pairs == before["pairs"]
    assert first.segments is not None
    now, then = first.segments.rows, before["segments"]["segments"]
    assert sum(row.users for row in now) == sum(row["users"] for row in then)
    spent = sum(row["users"] * row["monetary"] for row in then)
    assert sum(row.users * row.means.monetary for row in now) == pytest.approx(spent)
    profiles = {row["profile"]: row["users"] for row in before["profiles"]}
    found_profiles = {row.profile: row.users for row in first.profiles or ()}
    assert sum(found_profiles.values()) == sum(profiles.values())
    for name in ("Impulsive_Buyer", "Cart_Abandoner", "Regular_Non_Buyer"):
        assert found_profiles[name] == profiles[name]
    for row in before["quality"]["rows"]:
        if row["slice"] in ("all", "warm", "cold"):
            cell = find_row(
                [one for one in measured(first).rows if one.task == row["task"]], row["model"], row["slice"]
            )
            assert cell is not None
            found, golden = cell.metrics["ndcg_10"], row["ndcg_10"]
            if row["task"] == USER and row["model"] in ("als", "covisitation", "most_popular"):
                assert found.mean == pytest.approx(golden["mean"], rel=1e-12), row
            else:
                assert max(golden["low"], found.low) <= min(golden["high"], found.high), row


def measured(found: RunResult) -> Quality:
    assert found.quality is not None
    return found.quality


def explored(found: RunResult) -> Exploration:
    assert found.exploration is not None
    return found.exploration


def bundle_of(found: RunResult) -> Path:
    assert found.paths.bundle is not None
    return found.paths.bundle


def quality(found: RunResult, task: str, model: str) -> MetricInterval:
    row = find_row([row for row in measured(found).rows if row.task == task], model)
    assert row is not None
    assert row.queries >= 300
    return row.metrics["ndcg_10"]


#: How many times the NDCG@10 of the most popular products the blend must have. Measured with seed 7: 4.5 and 2.2
#: times; models that learned nothing do not reach it (the test after the next).
MARGIN = {"session": 3.0, "user": 1.7}


def beats_popularity(found: RunResult, task: str) -> bool:
    blend, popular = quality(found, task, "blend"), quality(found, task, "most_popular")
    return blend.low > popular.high and blend.mean > MARGIN[task] * popular.mean


@pytest.mark.parametrize("task", ["session", "user"])
def test_the_blend_beats_popularity_clearly(first: RunResult, task: str) -> None:
    assert beats_popularity(first, task)


@pytest.mark.parametrize("task", ["session", "user"])
def test_models_that_learned_nothing_do_not_reach_the_margin(refused: RunResult, task: str) -> None:
    assert not beats_popularity(refused, task)


def test_manifest_says_what_was_trained_and_how(first: RunResult) -> None:
    folder, events = bundle_of(first), explored(first).events
    manifest = bundle.verify(folder)
    entries = ManifestEntries.read(folder, manifest)
    assert entries.training_date == NOW + timedelta(hours=1)
    assert (entries.total_users, entries.total_products) == (events.users, events.products)
    assert entries.total_events == first.cleaning.kept
    assert entries.segments_count == 5
    assert entries.data_window == DataWindow(start=events.first, end=events.last)
    assert (entries.parameters["als_factors"], entries.parameters["seed"]) == (16, 42)
    assert set(entries.parameters) == set(Settings().recorded())
    assert entries.metrics["session/blend"]["ndcg_10"] == quality(first, "session", "blend").mean
    assert manifest.schema_version == SCHEMA_VERSION
    assert manifest.synthetic
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert set(manifest.files) == files - {"manifest.json"}


def test_every_row_is_accounted_for(first: RunResult) -> None:
    rows = first.cleaning
    assert rows.read == EVENTS == rows.kept + rows.duplicates + rows.rejected
    assert rows.duplicates > 0


def test_bundle_is_opened_with_its_segments(first: RunResult) -> None:
    opened = bundle.Bundle.open(bundle_of(first))
    assert first.segments is not None
    assert [row.segment for row in first.segments.rows] == opened.segments.names
    assert len(opened.segments.names) == 5
    assert len(opened.recommender.users.ids) == explored(first).events.users


def test_lists_are_of_ten_products_for_each_active_user(first: RunResult, shop: Shop) -> None:
    with (shop.aside / "merged_recommendations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    users = {row["user_id"] for row in rows}
    assert len(users) > 900
    assert len(rows) == 10 * len(users)
    assert len({(row["user_id"], row["product_id"]) for row in rows}) == len(rows)
    assert {row["model_version"] for row in rows} == {first.version}
    assert {row["source"] for row in rows} <= {"als", "covisitation", "popularity"}


def test_run_report_and_summary(first: RunResult, shop: Shop) -> None:
    assert first.stages[0].stage == "clean"
    assert len(first.stages) == 12  # the thirteenth is the report, which shows them
    assert all(stage.seconds >= 0 for stage in first.stages)
    lines = summary_lines(first)
    assert f"{EVENTS:,} rows read" in lines[0]
    assert any(line.startswith("Task session, blend: NDCG@10 0.") for line in lines)
    assert any(line.startswith("Bundle 20191101_090000 published: there was no champion") for line in lines)
    assert any(line.startswith("Synthetic data") for line in lines)
    assert first.paths.report.read_text().lstrip().startswith("<!")
    made = {name: path for name, path in first.paths if path is not None}
    assert set(made) == {
        "cleaned",
        "segments",
        "customers",
        "performance",
        "figures",
        "bundle",
        "recommendations",
        "merged_csv",
        "report",
        "run",
    }
    assert all(path.exists() for path in made.values())
    assert len([line for line in shop.said if "13/13]" in line]) >= 2  # its beginning and its end


def test_the_funnel_is_cut_by_the_segments(first: RunResult) -> None:
    assert first.behaviour is not None
    assert first.segments is not None
    funnel = first.behaviour.funnel
    assert funnel is not None
    assert [row.name for row in funnel.by_segment] == [row.segment for row in first.segments.rows]
    users = [row.users for row in funnel.by_segment if row.users]
    assert funnel.total.users == tuple(map(sum, zip(*users, strict=True)))
    assert funnel.total.sessions == tuple(map(sum, zip(*(row.sessions for row in funnel.by_segment), strict=True)))
    assert funnel.total.sessions[0] > funnel.total.sessions[1] > funnel.total.sessions[2] > 0
    assert funnel.buying_sessions == explored(first).sessions.buying


def test_customers_are_summed_by_segment_too(first: RunResult) -> None:
    assert first.customers is not None
    assert first.segments is not None
    value = first.customers.value
    assert value is not None
    assert sum(row.customers for row in value.by_segment) == value.rows[0].customers
    assert {row.name for row in value.by_segment} <= {row.segment for row in first.segments.rows}


def test_users_and_figures_are_tables_too(first: RunResult) -> None:
    assert first.segments is not None
    assert first.paths.segments is not None
    assert first.paths.figures is not None
    named = Counter(pq.read_table(first.paths.segments)["segment"].to_pylist())
    assert named == {row.segment: row.users for row in first.segments.rows}
    assert {path.stem for path in first.paths.figures.glob("*.parquet")} == set(TABLES)
    assert is_synthetic(str(first.paths.figures))
    value = pq.read_table(first.paths.figures / "value.parquet")["by"].to_pylist()
    assert {"all", "rfm", "segment"} == {*value}


def test_each_run_is_kept_and_read_back_as_it_was(first: RunResult, refused: RunResult, shop: Shop) -> None:
    output = Output(shop.output)
    assert read_run(output.runs / f"{first.version}.json") == first
    assert read_run(output.runs / f"{refused.version}.json") == read_run(output.run) == refused


def test_processed_tables_are_kept_and_scratch_is_not(first: RunResult, shop: Shop) -> None:
    names = {path.name for path in (shop.output / "processed").iterdir()}
    kinds = ("cleaned_data", "user_behavior", "product_data", "segments", "customers", "product_performance", "figures")
    assert {f"{kind}_20191101_090000" for kind in kinds} <= names
    assert not list(shop.output.glob(".work*"))


def test_a_run_without_a_log_starts_from_the_latest_complete_table(refused: RunResult, first: RunResult) -> None:
    assert refused.paths.cleaned == first.paths.cleaned
    assert explored(refused).events.event_mix == explored(first).events.event_mix
    assert explored(refused).events.users == explored(first).events.users
    assert refused.cleaning == first.cleaning
    assert refused.synthetic is True, "a table made from synthetic events says so for ever"


def test_a_worse_bundle_is_refused_with_its_reason_and_kept_aside(refused: RunResult, first: RunResult) -> None:
    assert refused.gate is not None
    assert refused.gate.published is False
    assert f"worse than champion {first.version}" in refused.gate.reason
    assert "NDCG@10" in refused.gate.reason
    assert bundle_of(refused).is_dir()
    assert any(f"Bundle {refused.version} NOT published: worse" in line for line in summary_lines(refused))


def test_forced_it_would_be_published_and_rollback_goes_back_one(
    refused: RunResult, first: RunResult, shop: Shop
) -> None:
    """The gate asked again about the same figures; what a training does with its word is seen above."""
    assert Registry(shop.models).history() == [first.version], "the champion stayed"
    before = in_use(Run.start(shop.spark, Settings(output=shop.output), NOW, 1, shop.said.append))
    assert before.champion is not None
    verdict = decide({}, measured(refused).rows, before, force=True)
    assert verdict.published is True
    assert verdict.reason.startswith("forced, though worse than champion")
    assert verdict.champion == first.version
    Registry(shop.models).publish(refused.version)
    assert Registry(shop.models).rollback() == (refused.version, first.version)
    assert Registry(shop.models).champion() == shop.models / first.version


def test_a_champion_that_is_damaged_or_of_another_edition_is_reported_and_skipped(
    first: RunResult, shop: Shop, tmp_path: Path
) -> None:
    run = Run.start(shop.spark, Settings(output=tmp_path), NOW, 1, shop.said.append)
    copy = run.output.models / first.version
    shutil.copytree(bundle_of(first), copy)
    Registry(run.output.models).publish(copy.name)
    assert in_use(run).champion is not None
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["quality"] = [row | {"metrics": None} for row in manifest["quality"]]
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert in_use(run).champion is None
    assert "cannot be compared with: " in shop.said[-1]
    assert "its manifest is from another version of Vitrine (quality.0.metrics" in shop.said[-1]
    (copy / "segments.json").unlink()
    verdict = decide({}, measured(first).rows, in_use(run), force=False)
    assert "segments.json cannot be read" in shop.said[-1]
    assert (verdict.published, verdict.champion) == (True, first.version)
    assert verdict.reason == (
        f"champion {first.version} could not be compared with: segments.json cannot be read (No such file or directory)"
    )


def test_same_events_and_seed_give_the_same_lists_in_whatever_order_they_come(
    spark: SparkSession, first: RunResult, shop: Shop, log: Path, tmp_path: Path
) -> None:
    """Two runs of their own: another folder, another time, and the rows of the log in another order."""
    header, *rows = log.read_text().splitlines()
    random.Random(1).shuffle(rows)
    shuffled = tmp_path / "shuffled.synthetic.csv"
    shuffled.write_text("\n".join([header, *rows]) + "\n")
    other = Shop(spark, tmp_path / "shop")
    found = other.train(shuffled, bootstrap=20, evaluation_queries=300)  # what lists don't depend on
    assert explored(found).events.event_mix == explored(first).events.event_mix
    assert found.segments is not None
    assert first.segments is not None
    for again, before in zip(found.segments.rows, first.segments.rows, strict=True):
        assert (again.segment, again.users) == (before.segment, before.users)
        assert again.means.model_dump() == pytest.approx(before.means.model_dump())
    assert lists(other.output) == lists(shop.aside)
