"""What the models say of customers and segments: CDNOW through a log's parts, intervals by hand, a holdout."""

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.duck import Connection, connect, write
from app.core.parts import part_files
from app.insight.bg_nbd import BgNbd
from app.insight.customers import CustomerBase, find_customers
from app.insight.gamma_gamma import GammaGamma
from app.insight.likelihood import Estimate, NotIdentified
from app.insight.segment_value import with_segments
from app.insight.value import FORECASTS, Fitted, forecast_sums, forecasts, limits
from app.insight.value_figures import calibration_end, held_out, value_figures
from tests.handmade import ARROW_EVENTS, by_key, relation
from tests.insight.spending import exact

BOUGHT = (BgNbd(0.243, 4.414, 0.793, 2.426), Estimate(np.array([0.243, 4.414, 0.793, 2.426]), 0.01 * np.eye(4), -1.0))
SPENT = (GammaGamma(6, 4, 15), Estimate(np.array([6.0, 4.0, 15.0]), 0.0 * np.eye(3), -1.0))
UNKNOWN = NotIdentified("nothing is known")
HISTORIES = "user_id bigint, frequency bigint, recency bigint, age bigint, repeat_cents bigint"
#: As in the paper's example; never again; as the first, without prices.
CUSTOMERS = [(1, 2, 213, 272, 12_000), (2, 0, 0, 272, 0), (3, 2, 213, 272, 0)]
SPENDING = exact(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))


def test_forecasts_are_those_of_the_models(duck: Connection) -> None:
    found = by_key(forecasts(duck, relation(duck, CUSTOMERS, HISTORIES), Fitted(BOUGHT, SPENT)), "user_id")
    assert found[1]["p_alive"] == pytest.approx(0.7266, abs=1e-4)
    assert found[1]["expected_spend"] == pytest.approx(6 * 135 / 15), "after two of 60 in the mean"
    assert found[2]["p_alive"] == found[2]["p_alive_low"] == found[2]["p_alive_high"] == 1
    assert found[2]["expected_spend"] == found[3]["expected_spend"] == pytest.approx(30), "that of all"
    assert found[3]["purchases_90"] == found[1]["purchases_90"]
    for row in found.values():
        assert row["value_90"] == pytest.approx(row["purchases_90"] * row["expected_spend"])
        assert 0 < row["purchases_30"] < row["purchases_90"] < 3 * row["purchases_30"]
        for name in ("purchases_30", "purchases_90", "value_90"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert 0 < found[1]["p_alive_low"] < found[1]["p_alive"] < found[1]["p_alive_high"] < 1


def test_what_lacks_its_model_is_not_there(duck: Connection) -> None:
    histories = relation(duck, CUSTOMERS, HISTORIES)
    without_spend = by_key(forecasts(duck, histories, Fitted(BOUGHT, UNKNOWN)), "user_id")[1]
    assert without_spend["purchases_90"] is not None
    assert without_spend["value_90"] is without_spend["value_90_low"] is without_spend["expected_spend"] is None
    without_purchases = by_key(forecasts(duck, histories, Fitted(UNKNOWN, SPENT)), "user_id")[1]
    assert without_purchases["expected_spend"] is not None
    assert without_purchases["p_alive"] is without_purchases["value_90"] is None
    nobody = forecasts(duck, relation(duck, [], HISTORIES), Fitted(BOUGHT, SPENT))
    assert nobody.fetchall() == []


def test_an_interval_by_hand() -> None:
    """10 with an error of 1: a tenth of it, times or divided. Even odds with an error of .05: a fifth in log odds."""
    low, high = limits("value_90", np.array([10.0]), np.array([1.0]))
    assert low == pytest.approx([10 / np.exp(0.1959964)])
    assert high == pytest.approx([10 * np.exp(0.1959964)])
    low, high = limits("p_alive", np.array([0.5]), np.array([0.05]))
    assert low == pytest.approx([1 / (1 + np.exp(0.3919928))])
    assert high == pytest.approx([1 / (1 + np.exp(-0.3919928))])


def test_an_error_of_a_sum_is_not_that_of_its_parts(duck: Connection) -> None:
    """Customers alike go wrong together: the sum of two has the relative error of one, whichever parts they are in."""
    alike = [(1, 2, 213, 272, 12_000), (2, 2, 213, 272, 12_000)]
    fitted = Fitted(BOUGHT, SPENT)
    rows = forecasts(duck, relation(duck, alike, HISTORIES), fitted).select("*, 'Champions' as rfm")
    halves = [forecast_sums(rows.filter(f"user_id = {user}"), "rfm") for user in (1, 2)]
    holdout = held_out(
        relation(duck, [(0, 0, 5, 3, 1)], "frequency int, recency int, age int, customers int, later int"),
        date(2019, 1, 1),
        date(2019, 2, 1),
    )
    found = value_figures(halves[0].union(halves[1]), fitted, SPENDING, holdout, 400)
    every, champions = found.rows
    assert (every.name, every.customers, champions.name, champions.customers) == ("All customers", 2, "Champions", 2)
    one = by_key(rows, "user_id")[1]
    assert champions.purchases_90 is not None
    assert champions.p_alive is not None
    assert champions.purchases_90.value == pytest.approx(2 * one["purchases_90"])
    assert champions.purchases_90.low == pytest.approx(2 * one["purchases_90_low"])
    assert champions.p_alive.value == pytest.approx(one["p_alive"])
    assert champions.p_alive.high == pytest.approx(one["p_alive_high"])
    assert [parameter.name for parameter in found.bg_nbd.parameters] == ["r", "alpha", "a", "b"]
    assert found.correlation == pytest.approx(0.5)
    assert found.correlated
    assert (holdout.not_identified, holdout.made, holdout.expected) == ("nobody bought a second time", 1, None)


def test_two_thirds_are_known() -> None:
    assert calibration_end(date(2019, 10, 1), date(2019, 10, 31)) == date(2019, 10, 21)


@pytest.fixture(scope="module")
def cdnow(spark: SparkSession, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> CustomerBase:
    """CDNOW's purchases as a log of two parts."""
    file = shared_data / "cdnow" / "cdnow_sample.txt"
    if not file.is_file():
        pytest.skip(f"no real purchases at {file}")
    folder = tmp_path_factory.mktemp("cdnow")
    rows = [line.split() for line in file.read_text().splitlines() if line.strip()]
    with connect(folder / "spill") as connection:
        for part in (0, 1):
            own = [row for row in rows if int(row[0]) % 2 == part]
            values = {
                "event_time": [datetime.strptime(row[2], "%Y%m%d") for row in own],
                "event_type": ["purchase"] * len(own),
                "user_id": [int(row[0]) for row in own],
                "price": [float(row[4]) or None for row in own],
                "date": [datetime.strptime(row[2], "%Y%m%d").date() for row in own],
            }
            columns = {name: values.get(name, pa.nulls(len(own))) for name in ARROW_EVENTS.names}
            table = pa.table({name: pa.array(columns[name], ARROW_EVENTS.field(name).type) for name in columns})
            (folder / "events").mkdir(exist_ok=True)
            write(connection.from_arrow(table), folder / "events" / f"part-{part:05d}.parquet")
    return find_customers(spark, folder / "events", folder / "customers")


def test_cdnows_whole_year_and_a_half(cdnow: CustomerBase) -> None:
    """As `benchmarks/value.py` fits it, which has no parts; 1,139 repeat buyers."""
    value = cdnow.figures.value
    assert value is not None
    estimates = {
        parameter.name: parameter.value for parameter in (*value.bg_nbd.parameters, *value.gamma_gamma.parameters)
    }
    assert [estimates[name] for name in ("r", "alpha", "a", "b")] == pytest.approx(
        [0.2536, 5.447, 0.6074, 2.647], rel=1e-3
    )
    assert [estimates[name] for name in "pqv"] == pytest.approx([4.683, 4.190, 24.39], rel=1e-3)
    assert value.bg_nbd.log_likelihood == pytest.approx(-17138.23, abs=0.05)
    assert (value.repeat_buyers, value.correlated) == (1139, False)
    assert value.correlation == pytest.approx(0.0697, abs=1e-4)


def test_cdnows_forecast_held_against_what_came(cdnow: CustomerBase) -> None:
    value = cdnow.figures.value
    assert value is not None
    held = value.holdout
    assert (held.calibration_end, held.days, held.customers) == (date(1997, 12, 30), 182, 2357)
    assert held.expected is not None
    assert held.expected == pytest.approx(held.made, rel=0.15)
    assert sum(row.made for row in held.rows) == held.made
    assert sum(row.customers for row in held.rows) == held.customers


def test_cdnows_customers_add_up_to_its_segments(cdnow: CustomerBase) -> None:
    table = pa.concat_tables([pq.read_table(file) for file in part_files(cdnow.table)])
    assert len(table) == 2357
    value = cdnow.figures.value
    assert value is not None
    for row in value.rows:
        frame = table.to_pandas()
        own = frame if row.name == "All customers" else frame[frame["rfm"].fillna("No money known") == row.name]
        assert len(own) == row.customers
        assert row.value_90 is not None
        assert row.p_alive is not None
        assert own["value_90"].sum() == pytest.approx(row.value_90.value)
        assert own["p_alive"].mean() == pytest.approx(row.p_alive.value)
        assert row.value_90.low < row.value_90.value < row.value_90.high


def test_cdnows_value_by_segment(spark: SparkSession, cdnow: CustomerBase, tmp_path: Path) -> None:
    """Those who have spent much, and the others; of all in one segment it is what is expected of all, errors too."""
    for segments, at_least in (("two", 100.0), ("one", -1.0)):
        (tmp_path / segments).mkdir()
        for file in part_files(cdnow.table):
            table = pq.read_table(file)
            ids = (table["monetary"].to_pandas().fillna(0) >= at_least).astype("int32")
            pq.write_table(pa.table({"user_id": table["user_id"], "segment_id": ids}), tmp_path / segments / file.name)
    names = {0: "little", 1: "much", 2: "nobody"}
    found = [with_segments(spark, cdnow, tmp_path / name, names, tmp_path / f"of_{name}") for name in ("two", "one")]
    (two, one), before = [figures.value for figures in found], cdnow.figures.value
    assert two is not None
    assert one is not None
    assert before is not None
    (every,), known = one.by_segment, before.rows[0]
    assert (every.name, every.customers) == ("much", 2357)
    for name in FORECASTS:
        assert list(getattr(every, name).model_dump().values()) == pytest.approx(
            [*getattr(known, name).model_dump().values()]
        )
    assert (two.rows, before.by_segment) == (before.rows, ())
    frame = pa.concat_tables([pq.read_table(file) for file in part_files(cdnow.table)]).to_pandas()
    much = frame["monetary"].fillna(0) >= 100
    assert [row.name for row in two.by_segment] == ["little", "much"]
    for row, own in zip(two.by_segment, (frame[~much], frame[much]), strict=True):
        assert row.customers == len(own)
        assert row.value_90 is not None
        assert row.value_90.value == pytest.approx(own["value_90"].sum())
