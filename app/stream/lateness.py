"""Which events come too late for their session: the watermark has passed the end of its window."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

HOUR = 3_600_000_000  #: microseconds


@dataclass(frozen=True)
class Lateness:
    """What a micro-batch judges by: a watermark, and the length of a session's window, both in microseconds."""

    watermark: int
    window: int

    @classmethod
    def of_batch(cls, checkpoint: Path, batch: int, window_hours: int) -> "Lateness":
        """As Spark has it: late is what the watermark of the micro-batch before had passed."""
        if batch == 0:
            return cls(0, window_hours * HOUR)
        times = json.loads((checkpoint / "offsets" / str(batch - 1)).read_text().splitlines()[1])
        return cls(int(times["batchWatermarkMs"]) * 1_000, window_hours * HOUR)

    @classmethod
    def parse(cls, text: str) -> "Lateness":
        """From its text."""
        return cls(*map(int, text.split()))

    def __str__(self) -> str:
        return f"{self.watermark} {self.window}"

    def late(self, times: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
        """Which of these event times (n,) are too late."""
        micros = times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
        ends = (micros // self.window + 1) * self.window
        late: NDArray[np.bool_] = ends <= self.watermark
        return late
