"""How findings leave the core: Avro data for ``ih.alerts``, objects for people and files."""

from __future__ import annotations

from typing import Any

from schemas.texts import LANGS, Lang, has, shown, text
from streams.findings import Finding
from streams.lifecycle import worth_notice
from streams.supervisor import Aggregate, Change
from streams.timeline import format_instant


def title(finding: Finding, lang: Lang) -> str:
    return text(f"rule.{finding.rule_id}.title", lang)


def message(finding: Finding, lang: Lang) -> str:
    """What happened, on which facts, and what would clear it, for regulator and hospital."""
    key = f"rule.{finding.rule_id}.{finding.clause}.message"
    if finding.clause is None or not has(key):
        key = f"rule.{finding.rule_id}.message"
    rule_id = finding.rule_id
    values: dict[str, object] = {
        name: shown(rule_id, name, value, lang) for name, value in finding.params.items()
    }
    values |= {
        "basis": _basis(finding, lang),
        "state": text(f"state.{finding.state}", lang),
        "due": values.get("due", ""),
        "institution": finding.institution_id,
        "subject": finding.subject_id,
        "start": _instant(finding.start, lang),
        "end": _instant(finding.end, lang),
    }
    return text(key, lang, **values)


def alert(change: Change, partition: int | None) -> dict[str, Any]:
    """The datum of one version of a finding (``schemas/outputs/Alert.avsc``)."""
    transition = change.transition
    finding = transition.finding
    texts = {f"title_{lang}": title(finding, lang) for lang in LANGS}
    texts |= {f"message_{lang}": message(finding, lang) for lang in LANGS}
    return {
        "finding_id": finding.id,
        "version": finding.version,
        "state": finding.state.value,
        "previous_state": None if transition.previous is None else transition.previous.value,
        "rule_id": finding.rule_id,
        "clause": finding.clause,
        "rulebook": finding.rulebook,
        "institution_id": finding.institution_id,
        "subject_type": finding.subject_type,
        "subject_id": finding.subject_id,
        "severity": finding.severity,
        "notify": worth_notice(transition),
        "changed_at": transition.at,
        "violation_start": finding.start,
        "violation_end": finding.end,
        "evidence": finding.evidence,
        "params": finding.params,
        "flags": finding.flags,
        "citations": finding.citations,
        **texts,
        "history": [{"state": step.state.value, "at": step.at} for step in finding.history],
        "cause_partition": None if change.cause is None else partition,
        "cause_offset": change.cause,
    }


def aggregate(item: Aggregate) -> dict[str, Any]:
    """The datum of one slot's metrics (``schemas/outputs/Aggregate.avsc``)."""
    return {field: getattr(item, field) for field in item.__struct_fields__}


def finding_object(finding: Finding, history: bool = False) -> dict[str, Any]:
    """A finding as ``ihwatch check`` prints it; instants in RFC 3339, Shanghai time."""
    found: dict[str, Any] = {
        "rule_id": finding.rule_id,
        "clause": finding.clause,
        "rulebook": finding.rulebook,
        "institution_id": finding.institution_id,
        "subject_type": finding.subject_type,
        "subject_id": finding.subject_id,
        "state": finding.state.value,
        "severity": finding.severity,
        "violation_start": None if finding.start is None else format_instant(finding.start),
        "violation_end": None if finding.end is None else format_instant(finding.end),
        "evidence": finding.evidence,
        "params": finding.params,
        "citations": finding.citations,
        "title_zh": title(finding, "zh"),
        "title_en": title(finding, "en"),
        "flags": dict.fromkeys(finding.flags, True),
    }
    if history:
        found["history"] = [
            {"state": step.state.value, "at": format_instant(step.at)} for step in finding.history
        ]
    return found


def _basis(finding: Finding, lang: Lang) -> str:
    """The articles a finding rests on, without their words."""
    articles = dict.fromkeys(c.partition("「")[0].strip() for c in finding.citations)
    if not articles:
        return text("finding.no_basis", lang)
    return text("list.separator", lang).join(articles)


def _instant(instant: int | None, lang: Lang) -> str:
    return text("finding.ongoing", lang) if instant is None else format_instant(instant)
