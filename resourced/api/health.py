"""What /healthz tells, described: the daemon's own state, which the service puts together."""

from typing import Any

from resourced.api.schema import object_schema

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_SECONDS = {"type": "number"}


def _said(about: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {**kind, "description": about}


def _list(about: str) -> dict[str, Any]:
    return {"type": "array", "items": _TEXT, "description": about}


HEALTH: dict[str, Any] = {
    "type": "object",
    "description": "The daemon is alive; what it costs, what it heeds, and what it holds.",
    "required": ["status"],
    "properties": {
        "status": {"const": "ok"},
        "version": _said("Version of resourced.", _TEXT),
        "pid": _said("Process id.", _COUNT),
        "uptime_seconds": _said("Time since the start.", _SECONDS),
        "cpu_seconds": _said("Processor time used since the start.", _SECONDS),
        "memory_bytes": _said("Resident memory.", _COUNT),
        "threads": _said("Threads.", _COUNT),
        "descriptors": _said("Open file descriptors.", _COUNT),
        "log_level": _said("Least grave lines that are logged.", _TEXT),
        "log_lines_dropped": _said("Lines that the log could not take.", _COUNT),
        "listeners": _list("Where the API listens."),
        "configuration": _said("Files that were read.", _TEXT),
        "policy": object_schema(
            "What is judged by.",
            profile=_said("Shipped rules to start from.", _TEXT),
            mode=_said("Whether decisions are carried out: observe, advise or enforce.", _TEXT),
            rules=_list("Rules in force."),
        )
        | {"required": ["rules"]},
        "workloads": _said("Registered workloads.", _COUNT),
        "rivals": _list("Other killers that are active; left out if there are none."),
        "replay": _said("What is replayed and how far; only of a replay.", {"type": "object"}),
        "sampling": object_schema(
            "The newest sample; left out before the first.",
            sequence=_said("Its number.", _COUNT),
            interval_seconds=_said("Time from one to the next.", _SECONDS),
            age_seconds=_said("Time since it was taken.", _SECONDS),
            lag_seconds=_said("How late it was.", _SECONDS),
            duration_seconds=_said("How long it took.", _SECONDS),
        ),
        "history": _said(
            "The store as it was up to five seconds ago: size, what it holds, and what is wrong with it; left out if it"
            " has not answered yet.",
            {"type": "object"},
        ),
    },
}
"""Schema of the answer. Of `status` alone it can be said that it is always there."""
