"""What the platform must find: expected findings, and how found ones are held against them.

The lateness rules are counted here from the uploads themselves, by a few lines that share nothing
with the platform's own; the other expectations are stated by whoever injected the violation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from streams.simulator.outbox import LAWFUL_DELAY, MANIFEST, Draft, clinical
from streams.timeline import HOUR, format_instant

STAR_RULES = ("UPL-01", "UPL-06", "PHA-01", "IDV-01", "IDV-02")
LATENESS_RULEBOOKS = frozenset({"guangxi", "sichuan", "yinchuan"})
_WINDOW = 24
_MIN_EVENTS = 50

Key = tuple[str, str | None, str, str, str]


@dataclass(frozen=True, slots=True)
class Expected:
    """A finding in the state it must have at the end of the simulation.

    ``subject_id`` is as the platform names it. Instants are epoch ms and None where the rules leave
    them open. An ``optional`` finding may be absent: it stands for a suspicion that ends CLEARED.
    ``kind`` names what was injected.
    """

    rule_id: str
    clause: str | None
    rulebook: str
    institution_id: str
    subject_type: str
    subject_id: str
    state: str
    kind: str
    violation_start: int | None = None
    violation_end: int | None = None
    optional: bool = False

    @property
    def key(self) -> Key:
        """The identity of the finding (RULES 1.6.7)."""
        return (
            self.rule_id,
            self.clause,
            self.institution_id,
            self.subject_type,
            self.subject_id,
        )

    def as_json(self) -> dict[str, Any]:
        """One line of the truth file; instants as RFC 3339 in Shanghai time."""
        line = asdict(self)
        for name in ("violation_start", "violation_end"):
            if line[name] is not None:
                line[name] = format_instant(line[name])
        return line


class Lateness:
    """Counts UPL-01 and UPL-06 of one institution from what arrives there, in any order."""

    def __init__(self, institution_id: str, rulebook: str) -> None:
        self._institution_id = institution_id
        self._rulebook = rulebook
        self._hours: dict[int, list[int]] = {}
        self._kinds: dict[int, str] = {}
        self._findings: list[Expected] = []

    def receive(self, draft: Draft) -> None:
        """Take the first receipt of an event into account; do not call it for duplicates."""
        datum = draft.datum
        event_type = datum["event_type"]
        if event_type == MANIFEST or not clinical(event_type):
            return
        original = datum["revision"] == 0
        basis = datum["occurred_at"] if original else datum["recorded_at"]
        late = draft.received_at - basis > LAWFUL_DELAY
        hour = -(-draft.received_at // HOUR)
        if original:
            counts = self._hours.setdefault(hour, [0, 0])
            counts[0] += 1
            counts[1] += late
        if late:
            kind = draft.kind or "lateness"
            self._kinds.setdefault(hour, kind)
            self._findings.append(self._expect("UPL-01", "event", datum["event_id"], kind))

    def findings(self, end: int) -> Iterator[Expected]:
        """All lateness findings as they stand at the end (epoch ms); none where it is not judged.

        A rate finding lives until a whole window of evaluations has shown no violation.
        """
        if self._rulebook not in LATENESS_RULEBOOKS:
            return
        yield from self._findings
        if not self._hours:
            return
        opened: int | None = None
        quiet = 0
        for hour in range(min(self._hours), end // HOUR + 1):
            window = [self._hours.get(h, (0, 0)) for h in range(hour - _WINDOW + 1, hour + 1)]
            count, late = (sum(column) for column in zip(*window, strict=True))
            if count >= _MIN_EVENTS and late * 100 > count:
                opened = hour if opened is None else opened
                quiet = 0
            elif opened is not None:
                quiet += 1
                if quiet == _WINDOW:
                    yield self._rate(opened, "RESOLVED")
                    opened = None
        if opened is not None:
            yield self._rate(opened, "CONFIRMED")

    def _rate(self, hour: int, state: str) -> Expected:
        kinds = [self._kinds[h] for h in range(hour - _WINDOW + 1, hour + 1) if h in self._kinds]
        return self._expect("UPL-06", "window", format_instant(hour * HOUR), kinds[0], state)

    def _expect(
        self, rule_id: str, subject_type: str, subject_id: str, kind: str, state: str = "RESOLVED"
    ) -> Expected:
        return Expected(
            rule_id,
            None,
            self._rulebook,
            self._institution_id,
            subject_type,
            subject_id,
            state,
            kind,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Findings held against the truth; empty lists everywhere mean precision and recall 1.0.

    ``wrong`` pairs an expectation with the state that was found.
    """

    matched: int
    missing: list[Expected]
    unexpected: list[Mapping[str, Any]]
    wrong: list[tuple[Expected, str]]

    @property
    def precision(self) -> float:
        """Share of what was found that is true; a finding in a wrong state is not true."""
        found = self.matched + len(self.unexpected) + len(self.wrong)
        return self.matched / found if found else 1.0

    @property
    def recall(self) -> float:
        """Share of the truth that was found in its right state."""
        true = self.matched + len(self.missing) + len(self.wrong)
        return self.matched / true if true else 1.0

    @property
    def exact(self) -> bool:
        """Whether nothing is missing, unexpected or in a wrong state."""
        return not (self.missing or self.unexpected or self.wrong)


def compare(truth: Iterable[Expected], findings: Iterable[Mapping[str, Any]]) -> Comparison:
    """Hold findings of the star rules, in their last states, against the truth.

    A finding is a mapping with at least rule_id, clause, institution_id, subject_type, subject_id
    and state, as ``ihwatch check`` prints it or an alert carries it. Suspicions that ended CLEARED
    are nobody's fault and are not counted, expected or not; other rules are not judged.
    """
    fields = ("rule_id", "clause", "institution_id", "subject_type", "subject_id")
    found = {
        tuple(finding[name] for name in fields): finding
        for finding in findings
        if finding["rule_id"] in STAR_RULES
    }
    matched, missing, wrong = 0, [], []
    for expected in truth:
        finding = found.pop(expected.key, None)
        state = None if finding is None else str(finding["state"])
        if state == expected.state:
            matched += not expected.optional
        elif state is not None:
            wrong.append((expected, state))
        elif not expected.optional:
            missing.append(expected)
    unexpected = [finding for finding in found.values() if finding["state"] != "CLEARED"]
    return Comparison(matched, missing, unexpected, wrong)
