"""The two kinds of errors that are not bugs: a user's mistake, and one input that is unusable."""

from faceshards.errors import UserError

__all__ = ["Reject", "UserError"]


class Reject(Exception):  # noqa: N818 - it is a verdict on one input, not an error of the program
    """One input cannot be used. It becomes a row of ``manifests/rejected/<stage>.parquet``.

    Raised by the work done on one row; never stops a run.

    Args:
        reason: one of :data:`pipeline.tables.schemas.REJECT_REASONS`.
        detail: what a person needs to know besides the reason, in one line; "" if nothing.

    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["Reject"], tuple[str, str]]:
        return (Reject, (self.reason, self.detail))


EXIT_USER_ERROR = 2
"""Exit code of a process that a :class:`UserError` has ended."""
