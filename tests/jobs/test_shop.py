"""`vitrine shop`: from nothing to a page whose clicks come back as lists, and its end."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from app.cli import main
from app.jobs.guard import EXIT_INTERRUPTED
from tests.api.client import ROOT, ids
from tests.small_spark import SMALL_MODELS
from tests.stream.shop import until

PAGE = re.compile(r"open (http://\S+)")
INFLUX = re.compile(r"InfluxDB runs at (http://[^\s,]+)")


@pytest.mark.slow(seconds=28)
def test_the_page_is_up_until_stopped(tmp_path: Path) -> None:
    output = tmp_path / "shop"
    flags = ["--output", output, "--events", "4000", "--rate", "2", "--port", "0"]
    command = [sys.executable, "-m", "app.cli", "shop", *map(str, flags)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | SMALL_MODELS, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        url = next(found[1] for line in process.stderr if (found := PAGE.search(line)))
        page = httpx.get(url)
        assert page.status_code == 200
        assert "<title>" in page.text
        product = ids(httpx.get(f"{url}/v1/popular?count=1"))[0]
        click = {"event_id": "click", "event_type": "view", "product_id": product, "user_id": 987_654_321}
        assert httpx.post(f"{url}/v1/events", json=click).status_code < 300
        lists = output / "stream" / "merged_recommendations.csv"
        clicked = "987654321,"
        until(lambda: any(clicked in part.read_text() for part in lists.glob("*.csv")), "the click's list", 90)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 0, said
        assert said.splitlines()[-1] == "stopped"
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
    finally:
        process.kill()
        process.wait()


def test_told_to_stop_amid_its_start_it_leaves_no_influxd(influxd_program: str, tmp_path: Path) -> None:
    flags = ["--output", tmp_path / "shop", "--events", "4000", "--rate", "2", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "shop", *map(str, flags)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        url = next(found[1] for line in process.stderr if (found := INFLUX.search(line)))
        assert httpx.get(f"{url}/health").status_code == 200
        process.terminate()
        said = process.stderr.read()
        assert process.wait(60) == EXIT_INTERRUPTED, said
        assert said.splitlines()[-1] == "stopped"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health")
    finally:
        process.kill()
        process.wait()


def test_missing_keys_are_told_before_anything_is_made(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["shop", "--output", str(tmp_path / "shop"), "--host", "0.0.0.0"])
    assert told.exit_code == 2
    assert "--host 0.0.0.0 can be reached from elsewhere" in told.stderr
    assert not (tmp_path / "shop").exists()


def test_a_taken_port_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = CliRunner().invoke(main, ["shop", "--output", str(tmp_path / "shop"), "--port", str(port)])
    assert told.exit_code == 2
    assert f"--port {port}: cannot be listened at" in told.stderr
    assert not (tmp_path / "shop").exists()
