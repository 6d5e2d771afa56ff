"""A day of a shop, as fast as the stream takes it, with everything going wrong on the way.

    make soak HOURS=24 RATE=100

Makes a synthetic shop, trains on its past, starts `vitrine stream`, and delivers HOURS × 3600 × RATE events with
the times of such a day, keeping a few files ahead of the stream. On the way: a retraining on the archive at a
quarter, an InfluxDB that is stopped for a minute at two fifths (where `influxd` is on PATH), a kill -9 of the
driver at three fifths, a full disk at four fifths (as root, who can mount a small one). Folders of the archive are
put together after two minutes in place of an hour, so that it happens amid all that. At the end every event must be in
the archive as often as it was delivered and be counted once in windows, and no range of folders may be left that could
be put together. Writes soak.json and soak.svg, memory, state, files and freshness over time, and ends with one JSON
line; exit code 1 if a count is wrong, the retraining failed, or folders were not put together.

`micro_batches` were archived, in `folders` folders that count, `put_together` of which hold several; `ranges_left` are
those that still could be.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from memory import tree_bytes
from pace import at_pace
from soak_samples import Sample, draw, metrics, p95

from app.core.settings import Settings
from app.monitor.local import LocalInflux
from app.stream.archive import Archive
from app.stream.compaction import due
from app.stream.epoch import current, marked, newest_number
from app.stream.folders import StreamFolders
from app.stream.source_log import consumed_files
from app.stream.window_files import read_windows
from app.synthetic import cut_in_two, generate

HISTORY = 300_000  #: events trained on
FILE_EVENTS, FILES = 5_000, 500  #: at the most, and files at the least: in a short soak there is work as well
AHEAD = 6  #: files that wait in the landing folder
DISK, EVENT = 2**31, 700  #: bytes of memory: for bundles, and for an event in lists and twice in the archive
KEPT = "100"  #: micro-batches whose lists are kept: of all of them they would fill the disk before the fault does
SINGLE_MINUTES = 2.0
PATIENCE = 600.0  #: seconds for the last folders to be put together, once they are old enough
OUTAGE = 60.0
FAULTS = {"retraining": 0.25, "InfluxDB away": 0.4, "driver killed": 0.6, "disk full": 0.8}
VITRINE = str(Path(sys.executable).with_name("vitrine"))


class Soak:
    """The stream under test, its input, its faults and what was measured of it."""

    def __init__(self, root: Path, hours: float, rate: float):
        self.root, self.events, self.rate = root, int(hours * 3_600 * rate), rate
        self.output = root / "disk" / "out"
        self.folders = StreamFolders.of(Settings(output=self.output, landing=root / "landing"))
        self.samples: list[Sample] = []
        self.happened: dict[str, float] = {}
        self.retrained = False
        self.delivered = self._files = 0
        self._begun = time.monotonic()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (root / "stream.log").open("ab")
        self._influx: LocalInflux | None = None
        self._mounted = False

    def prepare(self) -> Path:
        """Shop, disk, first bundle, InfluxDB; returns the live part of the log."""
        (self.root / "disk").mkdir()
        self.folders.landing.mkdir()
        if os.geteuid() == 0:
            mount = [
                "mount",
                "-t",
                "tmpfs",
                "-o",
                f"size={DISK + EVENT * self.events}",
                "none",
                str(self.root / "disk"),
            ]
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
        command += ["--metrics-port", str(self._port), "--clean-landing"]
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env=self._environment(), start_new_session=True
        )

    def deliver(self, live: Path) -> None:
        """All events, with faults on the way."""
        due = dict(FAULTS)
        for number, text in enumerate(_files(live, min(FILE_EVENTS, max(1, self.events // FILES)))):
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

    def put_together(self) -> dict[str, int]:
        """How small the archive is, once nothing is left to be put together, or patience has an end."""
        until = time.monotonic() + SINGLE_MINUTES * 60 + PATIENCE
        while (left := self._ranges_left()) and time.monotonic() < until:
            self._alive()
            time.sleep(5)
        folders = Archive.of(self.folders).folders(marked(self.folders))
        several = sum(part.first < part.last for part in folders)
        return {
            "micro_batches": folders[-1].last + 1,
            "folders": len(folders),
            "put_together": several,
            "ranges_left": left,
        }

    def metrics(self) -> dict[str, float]:
        """Of the driver."""
        return metrics(self._port)

    def sample(self, stop: threading.Event) -> None:
        """Measure every few seconds."""
        before: dict[str, float] = {}
        while not stop.wait(5):
            process = self._process
            if process is None or process.poll() is not None:
                continue
            row: dict[str, float | None] = {"second": time.monotonic() - self._begun}
            row["memory_mb"] = tree_bytes(process.pid) / 2**20
            row["files"] = sum(len(names) for _, _, names in os.walk(self.folders.root))
            with suppress(OSError):  # it has just been started
                row["folders"] = len(Archive.of(self.folders).folders(marked(self.folders)))
                told = self.metrics()
                row |= {name: told.get(f"vitrine_stream_{name}", 0.0) for name in ("state_rows", "unaccounted_rows")}
                row["events"] = told.get("vitrine_stream_events_total", 0.0)
                row["p95_s"] = p95(before, told)
                before = told
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

    def _ranges_left(self) -> int:
        """Ranges of folders that could be put together, were they old enough."""
        epochs, epoch = marked(self.folders), current(self.folders)
        assert epoch is not None
        committed = newest_number(epoch.checkpoint / "commits")
        return sum(1 for _ in due(Archive.of(self.folders).folders(epochs), epochs, committed))

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
        variables |= {"VITRINE_ARCHIVE_SINGLE_MINUTES": str(SINGLE_MINUTES)}
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


def _files(live: Path, events: int) -> Iterator[str]:
    """The log in files of so many events."""
    with live.open() as file:
        header, rows = next(file), []
        for row in file:
            rows.append(row)
            if len(rows) == events:
                yield header + "".join(rows)
                rows = []
    if rows:
        yield header + "".join(rows)


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
        together = soak.put_together()
        told = soak.metrics()
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
    draw(soak.samples, soak.happened, root / "soak.svg")
    exact = counts["delivered"] == counts["archived"] and counts["distinct"] == counts["counted"]
    result = {"synthetic": True, **counts, "exact": exact, "unaccounted": unaccounted, "retrained": soak.retrained}
    result |= together | {
        "seconds": round(seconds),
        "events_per_s": round(counts["delivered"] / seconds),
        "happened": soak.happened,
    }
    (root / "soak.json").write_text(json.dumps(result | {"samples": soak.samples}, indent=1))
    print(json.dumps(result | {"picture": str(root / "soak.svg")}))
    small = together["put_together"] > 0 == together["ranges_left"]
    return 0 if exact and soak.retrained and small and not unaccounted else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
