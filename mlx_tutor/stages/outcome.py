"""The result of a stage, and how it is reported."""

import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlx_tutor.stages.job import Job


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage came to. `result` is its report as JSON; `summary` one line of it."""

    stage: str
    summary: str
    result: Mapping[str, Any]
    up_to_date: bool = False
    seconds: float = 0.0
    peak_memory_gb: float = 0.0
    failures: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "up_to_date": self.up_to_date,
            "seconds": round(self.seconds, 3),
            "peak_memory_gb": round(self.peak_memory_gb, 3),
            "failures": list(self.failures),
            "result": dict(self.result),
        }


def measure_memory() -> float:
    """Peak resident memory so far in GB, of this process or its largest finished child."""
    unit = 1 if sys.platform == "darwin" else 1024
    return (
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * unit / 1e9
    )


def finish(job: Job, outcome: Outcome) -> Outcome:
    """Tell the user how a stage ended."""
    took = "" if outcome.up_to_date else f"  ({describe_cost(outcome)})"
    state = "up to date: " if outcome.up_to_date else ""
    job.screen.say(f"{outcome.stage:<9} {state}{outcome.summary}{took}")
    if outcome.failures and not outcome.up_to_date:
        warn_failures(job, outcome.failures)
    return outcome


def warn_failures(job: Job, failures: Sequence[str]) -> None:
    """The course files that are not in the course, with the reasons."""
    lines = "\n  ".join(failures)
    job.screen.warn(f"course files that could not be read and are left out: {len(failures)}\n  {lines}")


def describe_cost(outcome: Outcome) -> str:
    """Seconds and peak memory of a stage."""
    from mlx_tutor.display import describe_bytes, describe_seconds

    return f"{describe_seconds(outcome.seconds)}, {describe_bytes(1e9 * outcome.peak_memory_gb)}"
