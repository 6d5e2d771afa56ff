"""What every typed result is made of."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Part(BaseModel):
    """A frozen result whose fields are checked when it is made and when it is read back from JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


#: A figure that may be missing: None where nothing could be measured. JSON knows no NaN, so it becomes None too.
Measured = Annotated[float | None, BeforeValidator(_finite)]
