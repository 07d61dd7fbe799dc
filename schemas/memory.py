"""How processes that keep much in memory have Python look for garbage."""

import gc

_YOUNG, _MIDDLE, _OLD = 500_000, 20, 20
"""More than a batch makes and lets go of again: what is looked through while it is still in use has
been looked through for nothing.
"""


def collect_seldom() -> None:
    """Look for cycles when there are 500,000 objects more than there were, instead of 700.

    What a process keeps is more than that, but our code leaves next to no cycles behind.
    """
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
