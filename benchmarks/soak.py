"""A day of a shop, as fast as the stream takes it, with everything going wrong on the way.

    make soak HOURS=24 RATE=100

Makes a synthetic shop, trains on its past, starts `vitrine stream`, and delivers HOURS × 3600 × RATE events with
the times of such a day, keeping a few files ahead of the stream. On the way: a retraining on the archive at a
quarter, an InfluxDB that is stopped for a minute at two fifths (where `influxd` is on PATH), a kill -9 of the
driver at three fifths, a full disk at four fifths (as root, who can mount a small one). At the end every event must
be in the archive as often as it was delivered and be counted once in windows. Writes soak.json and soak.svg, memory,
state, files and freshness over time, and ends with one JSON line; exit code 1 if a count is wrong, or the retraining
failed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import matplotlib
from memory import tree_bytes
from pace import at_pace
from prometheus_client.parser import text_string_to_metric_families

from app.core.settings import Settings
from app.monitor.local import LocalInflux
from app.stream.archive import Archive
from app.stream.epoch import current, marked
from app.stream.folders import StreamFolders
from app.stream.source_log import consumed_files
from app.stream.window_files import read_windows
from app.synthetic import cut_in_two, generate

matplotlib.use("agg")
import matplotlib.pyplot as plt

HISTORY = 300_000  #: events trained on
FILE_EVENTS = 5_000
AHEAD = 6  #: files that wait in the landing folder
PORT = 9_118
DISK = "8g"  #: of memory: a day's archive and three bundles are some 4 GB
KEPT = "100"  #: micro-batches whose lists are kept: of all of them they would fill the disk before the fault does
OUTAGE = 60.0
FAULTS = {"retraining": 0.25, "InfluxDB away": 0.4, "driver killed": 0.6, "disk full": 0.8}
VITRINE = str(Path(sys.executable).with_name("vitrine"))


class Soak:
    """The stream under test, its input, its faults and what was measured of it."""

    def __init__(self, root: Path, hours: float, rate: float):
        self.root, self.events, self.rate = root, int(hours * 3_600 * rate), rate
        self.output = root / "disk" / "out"
        self.folders = StreamFolders.of(Settings(output=self.output, landing=root / "landing"))
        self.samples: list[dict[str, float]] = []
        self.happened: dict[str, float] = {}
        self.retrained = False
        self.delivered = self._files = 0
        self._begun = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (root / "stream.log").open("ab")
        self._influx: LocalInflux | None = None
        self._mounted = False

    def prepare(self) -> Path:
        """Shop, disk, first bundle, InfluxDB; returns the live part of the log."""
        (self.root / "disk").mkdir()
        self.folders.landing.mkdir()
        if os.geteuid() == 0:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(self.root / "disk")]
            self._mounted = subprocess.run(mount).returncode == 0
        history, live = self._shop()
        program = shutil.which("influxd")
        if program is not None:
            (self.root / "influxdb").mkdir()
            self._influx = LocalInflux(self.root / "influxdb", program, "vitrine", "vitrine")
        self._train(str(history))
        return live

    def start(self) -> None:
        command = [VITRINE, "stream", "--output", str(self.output), "--landing", str(self.folders.landing)]
        command += ["--metrics-port", str(PORT), "--clean-landing"]
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env=self._environment(), start_new_session=True
        )

    def deliver(self, live: Path) -> None:
        """All events, with faults on the way."""
        due = dict(FAULTS)
        for number, text in enumerate(_files(live)):
            while self._waiting() >= AHEAD:
                self._alive()
                time.sleep(0.3)
            hidden = self.folders.landing / f".{number:06d}.csv"
            hidden.write_text(text)
            hidden.rename(self.folders.landing / f"{number:06d}.csv")
            self._files += 1
            self.delivered += text.count("\n") - 1
            for name, share in list(due.items()):
                if self.delivered >= share * self.events:
                    del due[name]
                    self._fault(name)
        while self._waiting():
            self._alive()
            time.sleep(0.5)

    def sample(self, stop: threading.Event) -> None:
        """Measure every few seconds."""
        before: dict[str, float] = {}
        while not stop.wait(5):
            process = self._process
            if process is None or process.poll() is not None:
                continue
            row = {"second": time.monotonic() - self._begun, "memory_mb": tree_bytes(process.pid) / 2**20}
            row["files"] = sum(len(names) for _, _, names in os.walk(self.folders.root))
            with suppress(OSError):
                metrics = _metrics()
                row |= {name: metrics.get(f"vitrine_stream_{name}", 0.0) for name in ("state_rows", "unaccounted_rows")}
                row["events"] = metrics.get("vitrine_stream_events_total", 0.0)
                row["p95_s"] = _p95(before, metrics)
                before = metrics
            self.samples.append(row)

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(120)
        if self._influx is not None:
            self._influx.stop()

    def clear(self) -> None:
        """Take the disk away again."""
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.root / "disk")], check=False)

    def counts(self, live: Path) -> dict[str, int]:
        """What must be there, and what is."""
        with live.open() as file:
            next(file)
            distinct = len({hash(line) for line in file})
        stored = Archive.of(self.folders).rows(marked(self.folders))
        counted = sum(read_windows(self.folders.windows, marked(self.folders))["events"].to_pylist())
        return {"delivered": self.delivered, "archived": stored, "distinct": distinct, "counted": counted}

    def _fault(self, name: str) -> None:
        self.happened[name] = time.monotonic() - self._begun
        _say(f"{name}, after {self.delivered:,} events")
        if name == "retraining":
            archive = f"{self.root / 'history.synthetic.csv'},{self.folders.archive}"
            threading.Thread(target=self._retrain, args=(archive,), daemon=True).start()
        elif name == "InfluxDB away" and self._influx is not None:
            self._influx.kill()
            threading.Timer(OUTAGE, self._influx.start).start()
        elif name == "driver killed":
            assert self._process is not None
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            self.start()
        elif name == "disk full" and self._mounted:
            self._fill_disk()
        else:
            del self.happened[name]
            _say(f"{name}: left out, as this machine has not what it needs")

    def _fill_disk(self) -> None:
        assert self._process is not None
        filler = self.root / "disk" / "filler"
        with filler.open("wb") as file, suppress(OSError):
            while True:
                file.write(b"\0" * 2**20)
        code = self._process.wait(300)
        _say(f"the stream ended with exit code {code} on the full disk")
        filler.unlink()
        self.start()

    def _alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the stream has ended with {self._process.returncode}; see {self.root / 'stream.log'}")

    def _waiting(self) -> int:
        """Files that were delivered and are not yet committed."""
        epoch = current(self.folders)
        taken = consumed_files(epoch.checkpoint) if epoch is not None else set()
        return self._files - len(taken)

    def _train(self, events: str) -> None:
        command = [VITRINE, "train", "--events", events, "--output", str(self.output), "--force-publish"]
        subprocess.run(command, check=True, env=self._environment(), stderr=self._log, stdout=self._log)

    def _retrain(self, events: str) -> None:
        try:
            self._train(events)
            self.retrained = True
        except subprocess.CalledProcessError as error:
            _say(f"the retraining ended with exit code {error.returncode}; see {self.root / 'stream.log'}")

    def _environment(self) -> dict[str, str]:
        variables = os.environ | {"VITRINE_KEEP_LIST_BATCHES": KEPT}
        if self._influx is not None:
            config = self._influx.config
            variables |= {"VITRINE_INFLUX_URL": config.url, "VITRINE_INFLUX_TOKEN": config.token}
        return variables

    def _shop(self) -> tuple[Path, Path]:
        history, live = self.root / "history.synthetic.csv", self.root / "live.synthetic.csv"
        shop = self.root / "shop.synthetic.csv"
        generate(shop, HISTORY + self.events, 42)
        cut_in_two(shop, HISTORY, history, live)
        paced = at_pace(live, self.rate)
        live.unlink()
        return history, paced


def _files(live: Path) -> Iterator[str]:
    """The log in files of some thousand events."""
    with live.open() as file:
        header, rows = next(file), []
        for row in file:
            rows.append(row)
            if len(rows) == FILE_EVENTS:
                yield header + "".join(rows)
                rows = []
    if rows:
        yield header + "".join(rows)


def _metrics() -> dict[str, float]:
    """All samples of the driver's metrics that have no labels but a bucket's bound."""
    with urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = (sample for family in families for sample in family.samples)
    return {
        sample.name + (f" {sample.labels['le']}" if "le" in sample.labels else ""): sample.value
        for sample in samples
        if set(sample.labels) <= {"le"}
    }


def _p95(before: dict[str, float], now: dict[str, float]) -> float | None:
    """Upper bound of the 95th percentile of freshness since the sample before."""
    prefix = "vitrine_stream_freshness_seconds_bucket "
    counts = {
        float(name.removeprefix(prefix)): value - before.get(name, 0.0)
        for name, value in now.items()
        if name.startswith(prefix)
    }
    total = max(counts.values(), default=0.0)
    return next((bound for bound in sorted(counts) if total > 0 and counts[bound] >= 0.95 * total), None)


def draw(soak: Soak, target: Path) -> None:
    """Memory, state, files and freshness over time, with the faults."""
    figure, rows = plt.subplots(5, 1, figsize=(9, 11), sharex=True, layout="constrained")
    parts = {
        "events": "events since the start",
        "p95_s": "freshness p95, s",
        "memory_mb": "memory, MB",
        "state_rows": "sessions in state",
        "files": "files of the stream",
    }
    for axes, (name, label) in zip(rows, parts.items(), strict=True):
        points = [(row["second"] / 60, row[name]) for row in soak.samples if row.get(name) is not None]
        axes.plot(*zip(*points, strict=True), ".-", markersize=3)
        axes.set(ylabel=label, ylim=(0, None))
        axes.grid(alpha=0.3)
        for fault, second in soak.happened.items():
            axes.axvline(second / 60, color="grey", linestyle=":")
            if axes is rows[0]:
                axes.text(second / 60, axes.get_ylim()[1], f" {fault}", va="top", fontsize=8)
    rows[-1].set(xlabel="minutes (synthetic shop)")
    figure.savefig(target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24, help="hours of the shop's time")
    parser.add_argument("--rate", type=float, default=100, help="events a second of the shop's time")
    parser.add_argument("--output", type=Path, default=Path("soak"), help="work folder; must be new or empty")
    asked = parser.parse_args()
    root: Path = asked.output.absolute()
    if root.exists() and any(root.iterdir()):
        print(f"error: {root} is not empty; give --output a new folder", file=sys.stderr)
        return 2
    root.mkdir(parents=True, exist_ok=True)
    soak, stop = Soak(root, asked.hours, asked.rate), threading.Event()
    sampler = threading.Thread(target=soak.sample, args=(stop,))
    try:
        live = soak.prepare()
        soak.start()
        sampler.start()
        begun = time.monotonic()
        soak.deliver(live)
        seconds = time.monotonic() - begun
        told = _metrics()
        missed = ("unaccounted_rows", "unaccounted_lists", "missing_accounts")
        unaccounted = sum(told.get(f"vitrine_stream_{name}", 0.0) for name in missed)
        soak.end()
        counts = soak.counts(live)
    finally:
        stop.set()
        soak.end()
        if sampler.is_alive():
            sampler.join()
        soak.clear()
    draw(soak, root / "soak.svg")
    exact = counts["delivered"] == counts["archived"] and counts["distinct"] == counts["counted"]
    result = {"synthetic": True, **counts, "exact": exact, "unaccounted": unaccounted, "retrained": soak.retrained}
    result |= {
        "seconds": round(seconds),
        "events_per_s": round(counts["delivered"] / seconds),
        "happened": soak.happened,
    }
    (root / "soak.json").write_text(json.dumps(result | {"samples": soak.samples}, indent=1))
    print(json.dumps(result | {"picture": str(root / "soak.svg")}))
    return 0 if exact and soak.retrained and not unaccounted else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
