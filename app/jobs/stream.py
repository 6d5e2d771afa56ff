"""The stream under spark-submit: `spark-submit app/jobs/stream.py`, settings from `VITRINE_*`."""

import signal

from app.core.lease import stream_lease
from app.core.settings import Settings, load_settings
from app.core.spark import create_session, end_session
from app.jobs.guard import guarded, say
from app.stream.engine import Stream
from app.stream.session_conf import SPARK_CONFIGURATION
from app.stream.telemetry import StreamSummary


def run_stream(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, and stop after the running micro-batch.

    Raises
    ------
    VitrineError
        Another stream is at work on the output and `stand_by` is not set, or has taken over.
    """
    lease = stream_lease(settings.output)
    lease.approach(wait=settings.stand_by, say=say)
    spark = create_session(settings, "vitrine-stream", SPARK_CONFIGURATION)  # takes time: meanwhile a lease expires
    try:
        lease.acquire(wait=settings.stand_by, say=say)
        stream = Stream(spark, settings, lease, say)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stream.stopping.set())
        try:
            stream.start()
            stream.wait(tell=lambda summary: say(summary_line(summary)))
        finally:
            stream.stop()
        say("stopped; the next start goes on from here")
    finally:
        lease.release()
        end_session(spark)


def summary_line(summary: StreamSummary) -> str:
    """Figures since the start, in one line."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in summary.share_by_source.items())
    return (
        f"{summary.events:,} events ({summary.events / summary.seconds:,.0f}/s), {summary.lists:,} lists "
        f"({shares or '-'}), freshness p50 {_figure(summary.p50_s)} s p95 {_figure(summary.p95_s)} s "
        f"p99 {_figure(summary.p99_s)} s, HR@10 {_figure(summary.hr_10)} "
        f"(most popular {_figure(summary.hr_10_most_popular)}), state {summary.state_rows:,} rows"
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    with guarded():
        run_stream(load_settings())
