"""The stream under spark-submit: `spark-submit app/jobs/stream.py`, settings from `VITRINE_*`."""

import signal
import sys
from collections.abc import Callable
from typing import Any

from app.core.settings import Settings, load_settings
from app.core.spark import create_session
from app.jobs.run import guarded, say
from app.stream.engine import SPARK_CONFIGURATION, Stream


def run_stream(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT, and stop after the running micro-batch; returns the exit code."""

    def run() -> None:
        spark = create_session(settings, "vitrine-stream", SPARK_CONFIGURATION)
        try:
            stream = Stream(spark, settings, say)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stream.stopping.set())
            stream.start()
            try:
                stream.wait(tell=lambda summary: say(summary_line(summary)))
            finally:
                stream.stop()
            say("stopped; the next start goes on from here")
        finally:
            spark.stop()

    return guarded(run)


def summary_line(summary: dict[str, Any]) -> str:
    """Figures since the start, in one line."""
    value: Callable[[str], str] = lambda key: "-" if summary[key] is None else f"{summary[key]:.3g}"  # noqa: E731
    shares = ", ".join(f"{name} {share:.0%}" for name, share in summary["share_by_source"].items())
    return (
        f"{summary['events']:,} events ({summary['events'] / summary['seconds']:,.0f}/s), {summary['lists']:,} lists "
        f"({shares or '-'}), freshness p50 {value('p50_s')} s p95 {value('p95_s')} s p99 {value('p99_s')} s, "
        f"HR@10 {value('hr_10')} (most popular {value('hr_10_most_popular')}), state {summary['state_rows']:,} rows"
    )


def main() -> int:
    settings: list[Settings] = []
    code = guarded(lambda: settings.append(load_settings()))
    return code or run_stream(settings[0])


if __name__ == "__main__":
    sys.exit(main())
