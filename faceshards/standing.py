"""Where a source of batches stands, and how it goes on from there."""

from abc import ABC, abstractmethod

from faceshards.errors import UserError


class Standing(ABC):
    """Counts batches delivered.

    Args:
        key: names everything that the order of the batches depends on.
        other: what another key means and what to do then, in sentences for a person.
    """

    def __init__(self, key: str, other: str) -> None:
        self._key = key
        self._other = other
        self.epoch, self.number = 0, 0
        """The next batch that is delivered."""

    @abstractmethod
    def __len__(self) -> int:
        """Batches per epoch."""

    def state(self) -> dict[str, int | str]:
        """Where it stands, to be given to :meth:`resume`."""
        epoch, number = self.epoch, self.number
        if number == len(self):
            epoch, number = epoch + 1, 0
        return {"key": self._key, "epoch": epoch, "number": number}

    def resume(self, state: dict[str, int | str]) -> None:
        """Goes on from a state. Raises UserError where it is one of other batches."""
        if state["key"] != self._key:
            raise UserError(self._other)
        self.epoch, self.number = int(state["epoch"]), int(state["number"])
