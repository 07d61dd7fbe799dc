"""Where each rule is on, and how far it may go: RULES 3.1, with the clauses that differ.

Written from RULES and not read from the rulebooks, so that the two can disagree.
"""

from __future__ import annotations

from streams.rulebook import RULEBOOKS

_ORDER = ("national", "guangxi", "chongqing", "sichuan", "yinchuan")
OFF, ON, SIGNAL = "-", "o", "s"

_RULES = {
    "UPL-01": "-o-oo", "UPL-02": "-oooo", "UPL-03": "ooooo", "UPL-04": "ooooo",
    "UPL-05": "ooooo", "UPL-06": "-o-oo",
    "LIC-01": "ooooo", "LIC-02": "ooooo", "LIC-03": "--oo-", "LIC-04": "-ooo-",
    "LIC-05": "ooooo", "LIC-06": "ooooo", "LIC-07": "--o--",
    "STF-01": "ooooo", "STF-02": "ooooo", "STF-03": "ooooo", "STF-04": "--o--",
    "STF-05": "--o--", "STF-06": "--o--",
    "IDV-01": "ooooo", "IDV-02": "-o---", "IDV-03": "ooooo", "IDV-04": "sooos",
    "IDV-05": "-ooo-",
    "SES-01": "ooooo", "SES-02": "ooooo", "SES-03": "ooooo", "SES-04": "ooooo",
    "SES-05": "ooooo", "SES-06": "ooooo", "SES-07": "-oso-", "SES-08": "ooooo",
    "RX-01": "-oo--", "RX-02": "ooooo", "RX-03": "ooooo", "RX-04": "-oo--", "RX-05": "ooooo",
    "RX-06": "ooooo", "RX-07": "-ooo-", "RX-08": "sooss", "RX-09": "-ooo-",
    "PHA-01": "--o--", "PHA-02": "ooooo", "PHA-03": "--o--",
    "REC-01": "ooooo", "REC-02": "--oo-", "REC-03": "-oo-o", "REC-04": "ooooo",
    "SEC-01": "ooooo", "SEC-02": "ooooo", "SEC-03": "--ooo",
    "DIS-01": "-oooo", "FEE-01": "---o-", "FEE-02": "-oooo",
    "INC-01": "-soo-", "INC-02": "-oo-o",
    "QLT-01": "-ooo-", "QLT-02": "-s-ss", "QLT-03": "-oo--", "QLT-04": "-oooo",
}  # fmt: skip

_CLAUSES = {
    ("UPL-05", "f"): "--o--",
    ("LIC-03", "a"): "--o--", ("LIC-03", "b"): "--o--",
    ("LIC-03", "c"): "---o-", ("LIC-03", "d"): "---o-",
    ("LIC-04", "a"): "-o---", ("LIC-04", "c"): "-oo--",
    ("LIC-06", "b"): "-oooo", ("LIC-06", "c"): "-o--o", ("LIC-06", "e"): "--o--",
    ("LIC-06", "f"): "-oo-o",
    ("IDV-04", "b"): "--s--",
    ("SES-04", "d"): "---o-",
    ("SES-07", "a"): "-o-o-", ("SES-07", "b"): "-sss-",
    ("RX-02", "b"): "---oo", ("RX-02", "d"): "----o",
    ("RX-07", "b"): "-sss-",
    ("RX-08", "a"): "-oo--", ("RX-08", "c"): "-o---",
    ("RX-09", "a"): "-oo--", ("RX-09", "b"): "-s-s-",
    ("PHA-02", "d"): "--o-o",
    ("REC-01", "b"): "-oo--", ("REC-01", "c"): "-oo--",
    ("REC-02", "a"): "---o-", ("REC-02", "b"): "---o-",
    ("REC-03", "d"): "-oo--",
    ("REC-04", "a"): "---o-",
    ("SEC-01", "b"): "-o---", ("SEC-02", "c"): "o-ooo",
    ("DIS-01", "b"): "---o-", ("DIS-01", "c"): "-oo-o", ("DIS-01", "d"): "-o---",
    ("FEE-02", "c"): "----o",
    ("INC-01", "b"): "--o--",
    ("INC-02", "a"): "-o---", ("INC-02", "b"): "--o--", ("INC-02", "c"): "--o--",
    ("INC-02", "d"): "----o", ("INC-02", "e"): "--s--",
    ("LIC-07", "b"): "--s--",
    ("QLT-03", "b"): "-o---",
}  # fmt: skip

RULES = tuple(_RULES)
_AS_A_SIGNAL = {"CONFIRMED": "SUSPECTED", "RESOLVED": "CLEARED", "WITHDRAWN": "CLEARED"}


def mode(rule_id: str, clause: str | None, rulebook: str) -> str:
    """``OFF``, ``ON`` or ``SIGNAL``; KeyError for a rule that does not exist."""
    marks = _CLAUSES.get((rule_id, clause or ""), _RULES[rule_id])
    return marks[_ORDER.index(rulebook)]


def state(rule_id: str, clause: str | None, rulebook: str, wanted: str) -> str | None:
    """The state a finding can reach where the rule is on; None where it is off."""
    found = mode(rule_id, clause, rulebook)
    if found == OFF:
        return None
    return wanted if found == ON else _AS_A_SIGNAL.get(wanted, wanted)


def where(rule_id: str, clause: str | None = None) -> frozenset[str]:
    """The rulebooks in which a rule, or one of its clauses, is on."""
    return frozenset(book for book in RULEBOOKS if mode(rule_id, clause, book) != OFF)
