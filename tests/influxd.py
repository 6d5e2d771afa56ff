"""A real InfluxDB 2 for tests: the `influxd` on PATH, on a free port, in a folder of the test."""

import csv
import io

from app.monitor.local import LocalInflux


class InfluxServer(LocalInflux):
    """A server that can also be asked."""

    def query(self, flux: str) -> list[dict[str, str]]:
        """Rows of a Flux query, as text by column name; raises RuntimeError with the server's message."""
        text = self.post(
            f"/api/v2/query?org={self.config.org}", {"query": flux, "dialect": {"header": True, "annotations": []}}
        )
        tables = [list(csv.DictReader(io.StringIO(block))) for block in text.replace("\r\n", "\n").split("\n\n")]
        rows = [row for table in tables for row in table]
        if rows and "error" in rows[0]:
            raise RuntimeError(rows[0]["error"])
        return rows

    def count(self, measurement: str, field: str) -> int:
        """Points of a measurement that have the field, over all time."""
        rows = self.query(
            f'from(bucket: "{self.config.bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z) '
            f'|> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}") |> group() |> count()'
        )
        return int(rows[0]["_value"]) if rows else 0
