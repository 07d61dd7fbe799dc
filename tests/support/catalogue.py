"""RULES section 3 in short: what the tests of cases, texts and the simulator go by."""

from collections.abc import Mapping

CLAUSES: Mapping[str, str] = {
    "UPL-01": "", "UPL-02": "ab", "UPL-03": "", "UPL-04": "abc", "UPL-05": "abcdef", "UPL-06": "",
    "LIC-01": "", "LIC-02": "", "LIC-03": "abcd", "LIC-04": "abc", "LIC-05": "", "LIC-06": "abcdef",
    "LIC-07": "abc",
    "STF-01": "abcd", "STF-02": "ab", "STF-03": "", "STF-04": "", "STF-05": "", "STF-06": "",
    "IDV-01": "", "IDV-02": "ab", "IDV-03": "ab", "IDV-04": "ab", "IDV-05": "",
    "SES-01": "", "SES-02": "", "SES-03": "", "SES-04": "abcd", "SES-05": "", "SES-06": "ab",
    "SES-07": "ab", "SES-08": "abc",
    "RX-01": "", "RX-02": "abcd", "RX-03": "", "RX-04": "abc", "RX-05": "", "RX-06": "",
    "RX-07": "ab", "RX-08": "abc", "RX-09": "ab",
    "PHA-01": "", "PHA-02": "abcd", "PHA-03": "",
    "REC-01": "abc", "REC-02": "abc", "REC-03": "abcd", "REC-04": "ab",
    "SEC-01": "ab", "SEC-02": "abc", "SEC-03": "",
    "DIS-01": "abcd", "FEE-01": "", "FEE-02": "abc", "INC-01": "ab", "INC-02": "abcde",
    "QLT-01": "", "QLT-02": "abc", "QLT-03": "ab", "QLT-04": "",
}  # fmt: skip
"""The 60 rules of RULES section 3 and their lettered clauses."""
