"""What the platform must find: expected findings, and how found ones are held against them.

Late and lost uploads are counted here from the uploads themselves, by a few lines that share
nothing with the platform's own, and rates in ``rates``; the other expectations are stated by
whoever injected the violation.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from streams.simulator.outbox import LAWFUL_DELAY, MANIFEST, STREAM, Draft, clinical
from streams.timeline import HOUR, MINUTE, day_of, end_of_day, format_instant, start_of_day

STAR_RULES = ("UPL-01", "UPL-06", "PHA-01", "IDV-01", "IDV-02")
LATENESS_RULEBOOKS = frozenset({"guangxi", "sichuan", "yinchuan"})
_CONFIRMED_AFTER = LAWFUL_DELAY + 10 * MINUTE
_NEIGHBOURS = 2_000
"""So many numbers after a lost one are looked at for the first that arrived."""

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
    """Counts UPL-01, UPL-03, UPL-04(b) and UPL-06 of one institution from what arrives there.

    Give it the first receipt of every event, in the order they were sent.
    """

    def __init__(self, institution_id: str, rulebook: str) -> None:
        self._institution_id = institution_id
        self._rulebook = rulebook
        self._judged = rulebook in LATENESS_RULEBOOKS
        self._hours: dict[int, list[int]] = {}
        self._kinds: dict[int, str] = {}
        self._findings: list[Expected] = []
        self._received = array("q", [0])
        self._manifests: dict[int, int] = {}
        self._stragglers: dict[int, int] = {}

    def receive(self, draft: Draft) -> None:
        """Take the first receipt of an event into account; do not call it for duplicates."""
        datum = draft.datum
        event_type = datum["event_type"]
        number = datum.get("stream_seq")
        if number is not None and number >= len(self._received):
            self._received.extend([0] * (number - len(self._received)))
            self._received.append(draft.received_at)
        if event_type == MANIFEST:
            self._manifests[datum["business_date"]] = draft.received_at
        if event_type == MANIFEST or not clinical(event_type):
            return
        original = datum["revision"] == 0
        basis = datum["occurred_at"] if original else datum["recorded_at"]
        late = draft.received_at - basis > LAWFUL_DELAY
        if original:
            self._count(draft.received_at, late)
            day = day_of(basis)
            if draft.received_at > end_of_day(day) + _CONFIRMED_AFTER:
                latest = max(self._stragglers.get(day, 0), draft.received_at)
                self._stragglers[day] = latest
        if late and self._judged:
            kind = draft.kind or "lateness"
            self._kinds.setdefault(-(-draft.received_at // HOUR), kind)
            self._findings.append(self._expect("UPL-01", "event", datum["event_id"], kind))

    def findings(self, end: int) -> Iterator[Expected]:
        """What is late or lost as it stands at the end (epoch ms), where it is judged.

        A rate finding lives until a whole window of evaluations has shown no violation.
        """
        yield from self._findings
        for day, latest in self._stragglers.items():
            if latest > max(self._manifests.get(day, end), end_of_day(day) + _CONFIRMED_AFTER):
                subject = f"{STREAM}:{format_instant(start_of_day(day))[:10]}"
                yield self._expect("UPL-04", "manifest", subject, "lateness", clause="b")
        for first, confirmed in self._lost():
            if confirmed <= end:
                self._count(confirmed, True)
                self._kinds.setdefault(-(-confirmed // HOUR), "upl03_lost")
                subject = f"{STREAM}:{first}"
                yield self._expect("UPL-03", "gap", subject, "upl03_lost", "CONFIRMED")
        if self._judged and self._hours:
            yield from self._rates(end)

    def _count(self, received_at: int, late: bool) -> None:
        counts = self._hours.setdefault(-(-received_at // HOUR), [0, 0])
        counts[0] += 1
        counts[1] += late

    def _lost(self) -> Iterator[tuple[int, int]]:
        """First number of each gap as it was first noticed, and when its loss is established."""
        received = self._received
        for number in range(1, len(received)):
            if received[number]:
                continue
            later = [r for r in received[number + 1 : number + _NEIGHBOURS] if r]
            if later:
                noticed, first = min(later), number
                while first > 1 and (received[first - 1] > noticed or not received[first - 1]):
                    first -= 1
                yield first, noticed + _CONFIRMED_AFTER

    def _rates(self, end: int) -> Iterator[Expected]:
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
        self,
        rule_id: str,
        subject_type: str,
        subject_id: str,
        kind: str,
        state: str = "RESOLVED",
        clause: str | None = None,
    ) -> Expected:
        return Expected(
            rule_id,
            clause,
            self._rulebook,
            self._institution_id,
            subject_type,
            subject_id,
            state,
            kind,
        )


def distinct(truth: Iterable[Expected]) -> list[Expected]:
    """Each finding once: what is certain and open wins over what is optional or over."""
    found: dict[Key, Expected] = {}
    for expected in truth:
        known = found.get(expected.key)
        if known is None or (known.optional, known.state != "CONFIRMED") > (
            expected.optional,
            expected.state != "CONFIRMED",
        ):
            found[expected.key] = expected
    return list(found.values())


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


def compare(
    truth: Iterable[Expected],
    findings: Iterable[Mapping[str, Any]],
    rules: Collection[str] | None = None,
) -> Comparison:
    """Hold findings of these rules (by default of all), in their last states, against the truth.

    A finding is a mapping with at least rule_id, clause, institution_id, subject_type, subject_id
    and state, as ``ihwatch check`` prints it or an alert carries it. Suspicions that ended CLEARED
    are nobody's fault and are not counted, unless the truth insists on them; expectations and
    findings of other rules are left aside.
    """
    fields = ("rule_id", "clause", "institution_id", "subject_type", "subject_id")
    found = {
        tuple(finding[name] for name in fields): finding
        for finding in findings
        if rules is None or finding["rule_id"] in rules
    }
    matched, missing, wrong = 0, [], []
    for expected in truth:
        if rules is not None and expected.rule_id not in rules:
            continue
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
