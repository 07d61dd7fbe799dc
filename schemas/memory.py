"""How processes that keep much in memory have Python look for garbage."""

import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 20


def collect_seldom() -> None:
    """Look for cycles after 50,000 new objects instead of 700.

    A batch is many objects and what stays is more, but our code leaves next to no cycles behind.
    """
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
