"""What the customers of each segment are expected to do: the forecasts of customers, summed by segment."""

from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from app.core import duck
from app.core.duck import query
from app.core.parts import Part, by_part, part_files, read_table
from app.insight.customer_results import Customers
from app.insight.customers import CustomerBase
from app.insight.value import forecast_sums, forecasts
from app.insight.value_figures import value_rows


def with_segments(
    spark: SparkSession, base: CustomerBase, segments: Path, names: Mapping[int, str], folder: Path
) -> Customers:
    """The figures of customers, with what is expected by segment; as they were where nobody bought.

    Parameters
    ----------
    spark
        Session.
    base
        Customers.
    segments
        user_id and segment_id, in the same parts.
    names
        Of segments, by id.
    folder
        For the sums, on a disk that driver and executors share.
    """
    value = base.figures.value
    if value is None:
        return base.figures

    def count(part: Part) -> None:
        expected = forecasts(part.connection, part.read(base.histories), base.fitted)
        both = query(
            "select expected.*, segment_id from expected join segments using (user_id)",
            expected=expected,
            segments=part.read(segments),
        )
        part.write("sums", forecast_sums(both, "segment_id"))

    folder.mkdir(parents=True)
    by_part(spark, len(part_files(segments)), count, folder)
    with duck.connect(folder) as connection:
        rows = value_rows(read_table(connection, folder / "sums"), base.fitted, names)
    return base.figures.model_copy(update={"value": value.model_copy(update={"by_segment": rows})})
