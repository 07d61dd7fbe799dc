"""The star rules judged a second time, slowly and in another way, to be held against the core.

The core folds events into case files and judges only what a change can touch. The oracle knows no
case files: at every instant that matters it forgets everything, takes the events received by then
and reads UPL-01, UPL-06, PHA-01, IDV-01 and IDV-02 from RULES sections 1.5, 1.6, 3.2 and 6 anew.
Every comparison with the clock goes through `Now.reached`, which notes the instant; the next step
of the clock is the next receipt or the next instant noted, so none is left out.

Readings where RULES is silent are said where they are taken. Shared with the core: the parameters
(`streams.rulebook`) and the calendar (`streams.timeline`). Instants are epoch ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from streams.events import Event
from streams.rulebook import Library, Rulebook
from streams.timeline import start_of_day
from tests.support.oracle_facts import (
    CLEARED,
    CONFIRMED,
    NEVER,
    RESOLVED,
    STANDING,
    SUSPECTED,
    WAITING,
    WITHDRAWN,
    Fact,
    Now,
    Verdict,
    is_late,
    is_timed,
    out_of_scope,
)
from tests.support.oracle_rules import Rules


@dataclass(frozen=True)
class Held:
    """A finding as it must stand; `subject` is None where only the instants identify it."""

    rule: str
    clause: str | None
    subject: str | None
    state: str
    start: int | None
    end: int | None
    flags: tuple[str, ...]
    history: tuple[tuple[str, int], ...]


@dataclass
class _Finding:
    verdict: Verdict
    began: int | None
    state: str | None = None
    flags: set[str] = field(default_factory=set)
    history: list[tuple[str, int]] = field(default_factory=list)

    def move(self, state: str, at: int) -> None:
        self.state = state
        self.history.append((state, at))


def judge(events: Iterable[Event], library: Library, candidate: str, as_of: int) -> list[Held]:
    """Exactly the findings that the platform must hold at ``as_of`` about one institution."""
    facts = _first_receipts(events)
    receipts = sorted({fact.r for fact in facts if fact.r <= as_of})
    findings: list[_Finding] = []
    instant = receipts[0] if receipts else NEVER
    while instant <= as_of:
        now = Now(instant)
        known = [fact for fact in facts if fact.r <= instant]
        verdicts = Rules(known, library, candidate, now).verdicts()

        def uncorrected(known: list[Fact] = known, instant: int = instant) -> list[Verdict]:
            """What would hold now had no correction come at this instant."""
            rest = [f for f in known if not (f.r == instant and f.revision)]
            return Rules(rest, library, candidate, Now(instant)).verdicts()

        _live(findings, verdicts, uncorrected, instant)
        now.later.update(r for r in receipts if r > instant)
        instant = min(now.later, default=NEVER)
    held = [
        Held(
            one.verdict.rule,
            one.verdict.clause,
            one.verdict.subject if isinstance(one.verdict.subject, str) else None,
            one.state or "",
            one.verdict.start,
            one.verdict.end,
            tuple(sorted(one.flags)),
            tuple(one.history),
        )
        for one in findings
    ]
    return held + _rates(facts, library, candidate, as_of)


def _first_receipts(events: Iterable[Event]) -> list[Fact]:
    """Duplicates are ignored; the first receipt counts (D37)."""
    first: dict[str, Fact] = {}
    for fact in sorted(map(Fact, events), key=lambda f: (f.r, f.place)):
        first.setdefault(fact.id, fact)
    return list(first.values())


# -- life cycle (1.6) ------------------------------------------------------------------------------


def _live(
    findings: list[_Finding],
    verdicts: list[Verdict],
    uncorrected: Callable[[], list[Verdict]],
    at: int,
) -> None:
    """Take every finding one step on; a verdict about an unknown subject opens one."""
    pairs, fresh = _matched(findings, verdicts, at)
    ended: list[tuple[_Finding, str]] = []
    for place, (finding, verdict) in enumerate(pairs):
        if verdict is not None:
            continue
        if finding.state in STANDING:
            still = _matched(findings, uncorrected(), at)[0][place][1] is not None
            established = finding.state != SUSPECTED
            finding.flags = {"corrected"} if still else {"late_evidence"} if established else set()
            ended.append((finding, WITHDRAWN if established else CLEARED))
    for finding, state in ended:
        finding.move(state, at)
    for finding, verdict in pairs:
        if verdict is not None:
            _raise(finding, verdict, at)
    for verdict in fresh:
        if verdict.state != WAITING:
            findings.append(_Finding(verdict, verdict.start))
            _raise(findings[-1], verdict, at)


def _raise(finding: _Finding, verdict: Verdict, at: int) -> None:
    """An established violation is not weakened again, and an ended one not re-opened."""
    if verdict.state == WAITING and finding.state not in STANDING:
        return
    finding.verdict, finding.flags = verdict, set()
    if finding.state not in (CONFIRMED, RESOLVED):
        if verdict.state == SUSPECTED and finding.state != SUSPECTED:
            finding.move(SUSPECTED, at)
        elif verdict.state in (CONFIRMED, RESOLVED):
            finding.move(CONFIRMED, at)
    if finding.state == CONFIRMED and verdict.state == RESOLVED:
        finding.move(RESOLVED, at)


def _matched(
    findings: list[_Finding], verdicts: list[Verdict], at: int
) -> tuple[list[tuple[_Finding, Verdict | None]], list[Verdict]]:
    """Each finding with the verdict about its subject, and the verdicts about new subjects.

    A gap that moved, shrank or grew is still the same: it continues the first standing finding
    whose part that is over it overlaps, or the one that began as it does. What is left of a gap
    that fell apart is a new subject.
    """
    found: dict[int, Verdict] = {}
    fresh: list[Verdict] = []
    for verdict in verdicts:
        free = [n for n in range(len(findings)) if n not in found]
        match = next((n for n in free if _continues(findings[n], verdict, at)), None)
        if match is None:
            match = next((n for n in free if _began_as(findings[n], verdict)), None)
        if match is None:
            fresh.append(verdict)
        else:
            found[match] = verdict
    return [(finding, found.get(n)) for n, finding in enumerate(findings)], fresh


def _continues(finding: _Finding, verdict: Verdict, at: int) -> bool:
    known = finding.verdict
    if (known.rule, known.clause) != (verdict.rule, verdict.clause):
        return False
    if known.start is None or not isinstance(verdict.subject, tuple):
        return known.subject == verdict.subject
    start, end = verdict.subject
    until = at if known.end is None else known.end
    return finding.state in STANDING and known.start < end and start < until


def _began_as(finding: _Finding, verdict: Verdict) -> bool:
    return verdict.rule == finding.verdict.rule == "PHA-01" and verdict.start == finding.began


# -- UPL-06 ----------------------------------------------------------------------------------------


def _rates(facts: list[Fact], library: Library, candidate: str, as_of: int) -> list[Held]:
    """Every window asked anew. Nothing known later changes a window that has ended, so one look at
    the end suffices; the rulebook is that of the end of the window, and an open finding is
    followed to its end under the one that found it.
    """
    home = library.books[candidate]
    lateness = home.rules["UPL-01"]
    slide = home.rules["UPL-06"].millis("slide")
    if not facts:
        return []
    counted = [f for f in facts if is_timed(f) and not f.revision and not out_of_scope(f, home)]
    missing = _missing(facts, home)
    findings: list[Held] = []
    bad: list[int] = []
    begun: Rulebook | None = None
    midnight = start_of_day(0)
    end = (min(f.r for f in facts) - midnight) // slide * slide + midnight
    while end <= as_of:
        known = [f for f in facts if f.r <= end]
        book = begun or Rules(known, library, candidate, Now(end)).book(end)
        rule = book.rules["UPL-06"]
        window = rule.millis("window")
        n_missing = sum(end - window < instant <= end for instant in missing)
        inside = [f for f in counted if end - window < f.r <= end]
        late = sum(is_late(f, lateness) for f in inside) + n_missing
        n = len(inside) + n_missing
        enough = rule.enabled and n >= rule.count("min_events")
        if enough and late > rule.number("max_rate") * n:
            bad.append(end)
            begun = book
        elif bad and end >= bad[-1] + window:
            findings.append(_episode(bad, window, end))
            bad, begun = [], None
        end += slide
    if bad:
        findings.append(_episode(bad, window, None))
    return findings


def _episode(bad: list[int], window: int, resolved: int | None) -> Held:
    history = [(CONFIRMED, bad[0]), *([] if resolved is None else [(RESOLVED, resolved)])]
    state, start = history[-1][0], bad[0] - window
    return Held("UPL-06", None, None, state, start, bad[-1], (), tuple(history))


def _missing(facts: list[Fact], book: Rulebook) -> list[int]:
    """When each number of each stream that was not received in time counts as missing (UPL-03)."""
    limits = book.deadlines
    found = []
    if book.rule("UPL-03") is None:
        return []
    for stream in {f["stream_id"] for f in facts} - {None}:
        mine = [f for f in facts if f["stream_id"] == stream]
        evidence = [(f["stream_seq"], f.r) for f in mine if f["stream_seq"] is not None]
        evidence += [
            (f["last_seq"] + 1, f.r)
            for f in mine
            if f.type == "DailyManifestPublished" and f["last_seq"] is not None
        ]
        for n in range(1, max((seq for seq, _ in evidence), default=0)):
            told = min(r for seq, r in evidence if seq > n)
            deadline = told + limits.clinical + limits.grace
            if not any(f["stream_seq"] == n and f.r <= deadline for f in mine):
                found.append(deadline)
    return found
