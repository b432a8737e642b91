"""What goes wrong, in words for people."""

from __future__ import annotations


class BatchError(Exception):
    """Nothing was started, or it cannot be done; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
