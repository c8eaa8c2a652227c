"""The form of an explanation: an object, a sentence, and what lies behind it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from simulator.api.meta import Key


class Reason(Struct, frozen=True):
    """Why an object is short of its goal.

    Attributes
    ----------
    subject : the object.
    text : a sentence without a full stop.
    because : what lies behind it: details, or the reasons of other objects.
    """

    subject: Key
    text: str
    because: tuple[Reason, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The reason as JSON data."""
        row: dict[str, Any] = {"object": str(self.subject), "text": self.text}
        if self.because:
            row["because"] = [each.plain() for each in self.because]
        return row
