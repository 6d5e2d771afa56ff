"""The benchmark of value: published figures of CDNOW, and what a user may get wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
import value
from click.testing import CliRunner, Result


def run(*arguments: str) -> Result:
    return CliRunner().invoke(value.main, arguments)


def line(*arguments: str) -> dict[str, Any]:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def cdnow(shared_data: Path) -> str:
    return str(shared_data / "cdnow" / "cdnow_sample.txt")


def test_cdnow_is_as_published(cdnow: str) -> None:
    found = line("--transactions", cdnow, "--calibration-end", "1997-09-30")
    assert [found[name] for name in ("r", "alpha", "a", "b")] == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=5e-4)
    assert found["log_likelihood"] == pytest.approx(-9582.4, abs=0.05)
    assert found["expected"] == pytest.approx(1.226, abs=5e-4)
    assert found["p_alive"] == pytest.approx(0.727, abs=5e-4)
    assert [found[name] for name in "pqv"] == pytest.approx([6.25, 3.74, 15.44], abs=5e-3)
    assert (found["customers"], found["repeat_buyers"]) == (2357, 946)
    assert found["frequency_spend_correlation"] == pytest.approx(0.11, abs=5e-3), "as in RFM and CLV, 2005"


def test_weeks_give_the_parameters_of_weeks(cdnow: str) -> None:
    found = line("--transactions", cdnow, "--calibration-end", "1997-09-30", "--collapse", "week")
    assert [found[name] for name in ("r", "alpha", "a", "b")] == pytest.approx([0.291, 6.852, 0.665, 2.320], abs=5e-4)


def test_what_the_data_do_not_carry_is_said(tmp_path: Path) -> None:
    file = tmp_path / "once.txt"
    file.write_text(" 1 1 19970101 1 5.00\n 2 2 1997-01-02 2 6.00\n 3 3 19970103 1 -6.00\n")
    result = run("--transactions", str(file))
    found = json.loads(result.stdout)
    assert found["r"] is found["p"] is found["expected"] is None
    assert found["customers"] == 2
    assert found["bg_nbd_not_identified"] == "nobody bought a second time"
    assert found["gamma_gamma_not_identified"] == "nobody spent money on a second purchase"
    assert result.stderr == "1 lines with money below 0 are left out\n"


def test_a_byte_order_mark_is_no_part_of_a_customer(tmp_path: Path) -> None:
    file = tmp_path / "marked.txt"
    file.write_text("1 1 19970101 1 5\n1 1 19970105 1 5\n2 2 19970105 1 5\n", encoding="utf-8-sig")
    assert line("--transactions", str(file))["customers"] == 2


def test_an_end_after_the_last_purchase_is_said(tmp_path: Path) -> None:
    """Legal, since a shop may have sold nothing; more likely the date is wrong, and every customer looks gone."""
    file = tmp_path / "purchases.txt"
    file.write_text("1 1 19970101 1 5\n1 1 19970105 1 5\n")
    end = ["--transactions", str(file), "--calibration-end"]
    assert "the last purchase is on 1997-01-05" in run(*end, "1997-02-01").stderr
    assert run(*end, "1997-01-05").stderr == ""


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (None, [], "can't be read"),
        ("", [], "holds no purchases"),
        ("1 1 19970101 1\n", [], "line 1 has 4 fields; a line is customer sample date units money"),
        ("1,1,19970101,1,5\n", [], "separated by blanks"),
        ("customer sample date units money\n1 1 19970101 1 5\n", [], "line 1: 'date' is no date; a line is customer"),
        ("1 1 19970101 two 5\n", [], "line 1: 'two' is no units"),
        ("1 1 19970101 1 1e300\n", [], "line 1: '1e300' is no money"),
        ("1 1 19970101 1 5\n\n1 1 19971301 1 5\n", [], "line 3: '19971301' is no date"),
        ("1 1 19970101 1 free\n", [], "line 1: 'free' is no money"),
        ("1 1 19970101 1 5\n", ["--calibration-end", "1996-12-31"], "is before the first purchase, on 1997-01-01"),
        ("1 1 19970101 1 5\n", ["--calibration-end", "autumn"], "is no date"),
        ("1 1 19970101 1 5\n", ["--recency", "50"], "--recency lies between"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str | None, options: list[str], told: str) -> None:
    file = tmp_path / "purchases.txt"
    if text is not None:
        file.write_text(text)
    result = run("--transactions", str(file), *options)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
