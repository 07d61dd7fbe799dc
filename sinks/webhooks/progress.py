"""How far a partition is done when its records finish out of order."""


class Progress:
    """Knows the offset before which every record is finished: the only one safe to commit.

    Records are started in the order of the log and finished in any order.
    """

    __slots__ = ("_next", "_open")

    def __init__(self) -> None:
        # Insertion order is the order of the log, so the first key is the oldest.
        self._open: dict[int, None] = {}
        self._next = 0

    def start(self, offset: int) -> None:
        """Take the next record of the partition."""
        self._open[offset] = None
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        """Mark a started record as delivered, dead-lettered or not wanted."""
        del self._open[offset]

    @property
    def open(self) -> int:
        """Count the records started and not finished."""
        return len(self._open)

    @property
    def floor(self) -> int:
        """The next offset to read after a crash: the oldest that is open, or the next to come."""
        return next(iter(self._open), self._next)
