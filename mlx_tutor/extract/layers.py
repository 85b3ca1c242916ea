"""Layers (optional content) of a PDF that are switched off. ISO 32000-2, 8.11."""

from collections.abc import Sequence
from typing import Any

DEEPEST_RULE = 20


class Layers:
    """What the default configuration of a file shows."""

    def __init__(self, catalog: Any) -> None:
        properties = _get(_get(catalog).get("/OCProperties"))
        default = _get(properties.get("/D"))
        self.off = {_number(group) for group in _list(default, "/OFF")}
        if default.get("/BaseState") == "/OFF":
            on = {_number(group) for group in _list(default, "/ON")}
            self.off |= {_number(group) for group in _list(properties, "/OCGs")} - on

    def is_hidden(self, raw: Any) -> bool:
        """Whether a group, or a membership in groups, is hidden; `raw` is the reference to it."""
        if not self.off or raw is None:
            return False
        if _number(raw) in self.off:
            return True
        membership = _get(raw)
        if membership.get("/Type") != "/OCMD":
            return False
        if rule := _list(membership, "/VE"):
            return not self._holds(rule, 0)
        group = membership.raw_get("/OCGs") if "/OCGs" in membership else None
        groups = _list(membership, "/OCGs") or ([group] if group is not None else [])
        states = [_number(group) not in self.off for group in groups]
        if not states:
            return False
        policy = membership.get("/P", "/AnyOn")
        on = {"/AllOn": all(states), "/AnyOff": not all(states), "/AllOff": not any(states)}.get(policy, any(states))
        return not on

    def _holds(self, rule: Sequence[Any], depth: int) -> bool:
        """Whether an expression over groups is true."""
        parts = [
            self._holds(part.get_object(), depth + 1)
            if isinstance(part.get_object(), list) and depth < DEEPEST_RULE
            else _number(part) not in self.off
            for part in rule[1:]
        ]
        if rule[0] == "/Not":
            return not any(parts)
        return any(parts) if rule[0] == "/Or" else all(parts)


def _get(value: Any) -> Any:
    value = value.get_object() if hasattr(value, "get_object") else value
    return value if isinstance(value, dict) else {}


def _list(holder: Any, key: str) -> list[Any]:
    value = holder.get(key)
    value = value.get_object() if hasattr(value, "get_object") else value
    return list(value) if isinstance(value, list) else []


def _number(raw: Any) -> int:
    """The number of the object that a reference points to; a number of its own for anything else."""
    number = getattr(raw, "idnum", None)
    if number is None:
        number = getattr(getattr(raw, "indirect_reference", None), "idnum", None)
    return number if isinstance(number, int) else -id(raw)
