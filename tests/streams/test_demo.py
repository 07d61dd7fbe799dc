"""What the demo shows: every rule has its place, and whatever disagrees is named."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from schemas.texts import LANGS, has, text
from streams.checks import RULES
from streams.demo import view
from streams.demo.wiring import Platform
from streams.simulator.truth import Comparison, Expected


def expected(rule_id: str, subject_id: str) -> Expected:
    return Expected(
        rule_id, None, "guangxi", "H1", "session", subject_id, "CONFIRMED", f"{rule_id} kind"
    )


def alert(rule_id: str, severity: str, state: str = "CONFIRMED") -> dict[str, Any]:
    said = {
        f"{part}_{lang}": f"{part} of {rule_id}" for part in ("title", "message") for lang in LANGS
    }
    return {
        "rule_id": rule_id, "severity": severity, "state": state, "finding_id": rule_id,
        "institution_id": "H1", **said,
    }  # fmt: skip


def platform(truth: list[Expected], alerts: list[dict[str, Any]]) -> Platform:
    seen = SimpleNamespace(alerts={one["finding_id"]: one for one in alerts})
    given = SimpleNamespace(
        simulation=SimpleNamespace(truth=truth),
        auditor=SimpleNamespace(seen=seen),
        publisher=SimpleNamespace(
            published=SimpleNamespace(events=2, duplicates=0, ticks=0),
        ),
        receiver=SimpleNamespace(counts={"refused": 0, "verified": 2}),
        stopwatch=SimpleNamespace(quantiles=lambda *shares: [None for _ in shares]),
    )
    return cast(Platform, given)


def summary(
    truth: list[Expected], alerts: list[dict[str, Any]], held: dict[str, Comparison]
) -> tuple[bool, str]:
    console = Console(width=200, file=io.StringIO(), record=True)
    good = view.summary(console, platform(truth, alerts), [], held, "index.html", 1.0)
    return good, console.export_text()


def test_every_rule_belongs_to_a_family_with_a_name() -> None:
    shown = [rule for rules in view.FAMILIES.values() for rule in rules]
    assert sorted(shown) == sorted({rule.id for rule in RULES})
    for name in [*view.FAMILIES, "all"]:
        assert has(f"demo.family.{name}")


def test_the_summary_adds_up_rules_by_family() -> None:
    truth = [expected("RX-01", "s1"), expected("RX-02", "s2"), expected("FEE-01", "s3")]
    held = {rule: Comparison(1, [], [], []) for rule in ("RX-01", "RX-02", "FEE-01")}
    good, printed = summary(truth, [alert("RX-01", "major")], held)
    assert good
    (whole,) = [row for row in printed.splitlines() if text("demo.family.all", "en") in row]
    assert "3/60" in whole
    (prescriptions,) = [row for row in printed.splitlines() if row.startswith("│ RX ")]
    assert "2/9" in prescriptions
    assert text("demo.good", "en") in printed


def test_whatever_disagrees_is_named() -> None:
    truth = [expected("RX-01", "lost"), expected("RX-02", "fine"), expected("RX-03", "weak")]
    held = {
        "RX-01": Comparison(0, [truth[0]], [], []),
        "RX-02": Comparison(1, [], [{"institution_id": "H9", "subject_id": "invented"}], []),
        "RX-03": Comparison(0, [], [], [(truth[2], "SUSPECTED")]),
    }
    good, printed = summary(truth, [], held)
    assert not good
    for said in (
        "RX-01: missing H1 lost",
        "RX-02: unexpected H9 invented",
        "RX-03: weak is SUSPECTED, not CONFIRMED",
        text("demo.bad", "en"),
    ):
        assert said in printed
    (row,) = [row for row in printed.splitlines() if row.startswith("│ RX ")]
    assert row.split("│")[-3:-1] == ["     0.333 ", "  0.333 "]


def test_examples_are_established_and_the_gravest_of_a_family() -> None:
    alerts = [
        alert("RX-05", "major"),
        alert("RX-06", "critical"),
        alert("IDV-01", "critical", "SUSPECTED"),
        alert("SES-01", "minor"),
    ]
    printed = summary([], alerts, {})[1]
    assert "message of RX-06" in printed
    assert printed.index("message of RX-06") < printed.index("message of SES-01")
    assert "message of RX-05" not in printed
    assert "message of IDV-01" not in printed
