"""`vitrine serve` under load, on one core, beside the same server answering a constant: `python benchmarks/load.py`.

The bundle is made of random arrays: synthetic, so that its lists mean nothing; only the times do. Clients are public
programs on another core: wrk with so many connections (`apt-get install wrk`), then, at a part of what the server
reached, vegeta at a constant rate (`go install github.com/tsenart/vegeta/v12@latest`). Prints tables, and closes with
one JSON line.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
from pydantic import BaseModel
from serve import SEGMENTS, ranked_by, ranker_option, synthetic

from app.core.errors import InputError
from app.registry.registry import Registry
from app.serve.segments import FEATURES, SegmentModel

ROUTE = "/v1/recommendations"
WARM_SECONDS = 3
BODIES = 2_000  #: different requests, asked in turn
MEGABYTE = 1 << 20
#: The same server, whose first answer is the answer to all.
CONSTANT = """
import sys
from app.api.service import Service
real, first = Service.recommend, []
async def recommend(self, *asks):
    if not first:
        first.extend(await real(self, *asks))
    return first
Service.recommend = recommend
from app.cli import main
main(sys.argv[1:])
"""
#: What wrk sends, and what it says in the end.
SCRIPT = """
local bodies, number = {}, 0
for line in io.lines("BODIES") do bodies[#bodies + 1] = line end
request = function()
  number = number % #bodies + 1
  return wrk.format("POST", "ROUTE", {["Content-Type"] = "application/json"}, bodies[number])
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}\\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Figures:
    """Of one run: connections, or requests a second that were asked for; times in milliseconds, memory in MB."""

    asked: int
    rate: float
    p50: float
    p99: float
    errors: int
    memory: float


class Nothing(BaseModel):
    """What the manifest records of no training."""


@click.command()
@click.option("--products", default=50_000, show_default=True, help="Products of the synthetic bundle.")
@click.option("--users", default=200_000, show_default=True, help="Users of the synthetic bundle.")
@ranker_option
@click.option("--connections", default="1,10,50,200", show_default=True, help="Of wrk, one run each.")
@click.option("--seconds", default=10, show_default=True, help="Of each run.")
@click.option("--steady", default=300, show_default=True, help="Seconds at a constant rate; 0 does without.")
@click.option("--part", default=0.6, show_default=True, help="That rate, as a part of the best.")
@click.option("--cores", default="0,1", show_default=True, help="The server's, and its clients'.")
def main(
    products: int, users: int, ranker: str, connections: str, seconds: int, steady: int, part: float, cores: str
) -> None:
    """Measure saturation by connections, then a constant rate."""
    for program in ("wrk", *(("vegeta",) if steady else ())):
        if shutil.which(program) is None:
            raise click.ClickException(f"{program} is missing; the head of benchmarks/load.py says how to get it")
    core, clients = cores.split(",")
    counts = [int(count) for count in connections.split(",")]
    found: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make(folder, products, users, ranker)
        for name, program in (("constant", ["-c", CONSTANT]), ("lists", ["-m", "app.cli"])):
            with serving(program, folder, core) as (url, server):
                wrk(url, folder, clients, 1, WARM_SECONDS, server)
                found[name] = [wrk(url, folder, clients, count, seconds, server) for count in counts]
                if name == "lists" and steady:
                    rate = int(part * max(one.rate for one in found[name]))
                    found["steady"] = [vegeta(url, folder, clients, rate, steady, server)]
    for name, rows in found.items():
        print(
            f"\n{name}\n| asked | requests/s | p50 ms | p99 ms | errors | memory MB |\n|---:|---:|---:|---:|---:|---:|"
        )
        for row in rows:
            print(
                f"| {row.asked} | {row.rate:,.0f} | {row.p50:.1f} | {row.p99:.1f} | {row.errors} | {row.memory:.0f} |"
            )
    print(json.dumps({name: [asdict(row) for row in rows] for name, rows in found.items()}))


def make(folder: Path, products: int, users: int, ranker: str) -> None:
    """A published bundle, and what is asked: half known users, with sessions of up to five products."""
    print(f"making a synthetic bundle of {products:,} products and {users:,} users", file=sys.stderr)
    rng = np.random.default_rng(1)
    model = ranked_by(synthetic(products, users, rng), ranker)

    def fill(bundle: Path) -> None:
        model.save(bundle)
        means = [0.0] * len(FEATURES)
        names = [f"Segment {number}" for number in range(SEGMENTS)]
        SegmentModel(means, means, [1.0] * len(FEATURES), [means] * SEGMENTS, names, 0.0).save(bundle)

    registry = Registry(folder / "models")
    registry.publish(registry.add("synthetic", Nothing(), fill).name)
    ids = np.where(rng.random(BODIES) < 0.5, rng.choice(model.users.ids, BODIES), np.arange(BODIES))
    lines = []
    for user, length in zip(ids.tolist(), rng.integers(0, 6, BODIES).tolist(), strict=True):
        seen = rng.choice(model.catalogue.product_ids, length).tolist()
        session = [{"event_type": "view", "product_id": product} for product in seen]
        lines.append(json.dumps({"user_id": user, "session": session}))
    (folder / "bodies").write_text("\n".join(lines) + "\n")
    (folder / "load.lua").write_text(SCRIPT.replace("BODIES", str(folder / "bodies")).replace("ROUTE", ROUTE))


@contextmanager
def serving(program: list[str], folder: Path, core: str) -> Iterator[tuple[str, psutil.Process]]:
    """A server on one core; its address and its process."""
    command = ["taskset", "-c", core, sys.executable, *program, "serve", "--output", str(folder), "--port", "0"]
    environment = os.environ | {"VITRINE_REQUEST_RATE": "1000000"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if "listening at " in line:
                break
        else:
            raise InputError(f"the server did not start: {''.join(lines)}")
        time.sleep(1)
        try:
            yield line.partition("listening at ")[2].strip(), psutil.Process(process.pid)
        finally:
            process.terminate()
            process.stderr.read()


def wrk(url: str, folder: Path, core: str, connections: int, seconds: int, server: psutil.Process) -> Figures:
    """As much as the server answers over so many connections."""
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    text = subprocess.run(
        [*command, "-s", str(folder / "load.lua"), url], check=True, capture_output=True, text=True
    ).stdout
    said = json.loads(text.splitlines()[-1])
    rate = said["requests"] / said["seconds"]
    return Figures(connections, rate, said["p50"], said["p99"], said["errors"], memory(server))


def vegeta(url: str, folder: Path, core: str, rate: int, seconds: int, server: psutil.Process) -> Figures:
    """So many requests a second, whatever is answered."""
    (folder / "targets").write_text("".join(target(url, body) for body in (folder / "bodies").read_text().splitlines()))
    attack = ["taskset", "-c", core, "vegeta", "attack", "-format=json", f"-rate={rate}", f"-duration={seconds}s"]
    results = folder / "results"
    subprocess.run([*attack, f"-targets={folder / 'targets'}", f"-output={results}"], check=True)
    text = subprocess.run(["vegeta", "report", "-type=json", str(results)], check=True, capture_output=True).stdout
    said = json.loads(text)
    times = {name: said["latencies"][name] / 1e6 for name in ("50th", "99th")}
    errors = said["requests"] - said["status_codes"].get("200", 0)
    return Figures(rate, said["throughput"], times["50th"], times["99th"], errors, memory(server))


def target(url: str, body: str) -> str:
    """A line of vegeta's."""
    header: dict[str, Any] = {"Content-Type": ["application/json"]}
    line = {
        "method": "POST",
        "url": f"{url}{ROUTE}",
        "header": header,
        "body": base64.b64encode(body.encode()).decode(),
    }
    return json.dumps(line) + "\n"


def memory(server: psutil.Process) -> float:
    """Of the server, in MB."""
    return float(server.memory_info().rss) / MEGABYTE


if __name__ == "__main__":
    main()
