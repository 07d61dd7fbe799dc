"""A sitting: what rules hold about one case file at one instant, and what that rests on."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.cases.base import FOREVER, CaseFile
from streams.checks import Judged
from streams.findings import Key, Verdict
from streams.records import InstitutionRecords
from streams.rulebook import Rulebook, RuleSettings
from streams.timeline import format_instant


class Held(msgspec.Struct):
    """A verdict with the rule and rulebook behind it."""

    verdict: Verdict
    judged: Judged
    settings: RuleSettings
    book: Rulebook
    subject_id: str = ""
    flags: set[str] = set()


class Sitting(msgspec.Struct):
    """What rules hold about a case file at an instant, and what that rests on.

    ``scope_wake`` is the next receipt that may change which rulebook applies and what is in scope.
    """

    now: int
    book: Rulebook
    records: InstitutionRecords
    views: list[tuple[Rulebook, Any]]
    held: dict[Key, Held] = {}
    wakes: dict[str, int] = {}
    since: dict[str, int] = {}
    scope_wake: int = 0

    def wake(self, rule: str, instant: int) -> None:
        known = self.wakes.get(rule)
        if instant and (known is None or instant < known):
            self.wakes[rule] = instant

    def hold(self, held: Held, case: CaseFile) -> None:
        """Take a verdict in under the name of its finding."""
        verdict = held.verdict
        held.subject_id = verdict.subject_id
        if verdict.episodic:
            held.subject_id = self._episode(held, case)
        institution_id = verdict.institution_id or self.records.institution_id
        key = (
            held.judged.rule.id,
            verdict.clause,
            verdict.subject_type,
            held.subject_id,
            institution_id,
        )
        self.held[key] = held

    def _episode(self, held: Held, case: CaseFile) -> str:
        """The name of the violation among those of its subject: the standing one it continues,
        else the plain name while that is free, else one with the start.
        """
        verdict = held.verdict
        start = verdict.start if verdict.start is not None else self.now
        end = verdict.end if verdict.end is not None else FOREVER
        taken = {k[3] for k in self.held if (k[0], k[1]) == (held.judged.rule.id, verdict.clause)}
        plain = verdict.subject_id
        free = plain not in taken
        for finding in case.findings:
            mine = finding.subject_id == plain or finding.subject_id.startswith(f"{plain}@")
            same = (finding.rule_id, finding.clause) == (held.judged.rule.id, verdict.clause)
            if not (mine and same) or finding.subject_id in taken:
                continue
            began = finding.start if finding.start is not None else start
            until = finding.end if finding.end is not None else FOREVER
            if began <= end and until >= start:
                return finding.subject_id
            free = free and finding.subject_id != plain
        return plain if free else f"{plain}@{format_instant(start)}"
