"""Every kind of violation, and of lawful look-alike, that can be injected: one function a kind.

An injector changes the plan of a day through its ``Scene``, or of a house through its ``House``,
and says there what the platform must find at the end. It returns False when there is no place for
it. To add a kind, write its function beside the others of its rule; nothing else knows the kinds.
"""

from __future__ import annotations

from streams.rulebook import RULEBOOKS
from streams.simulator import (
    conduct_faults,
    filing_faults,
    licence_faults,
    prescription_faults,
    record_faults,
    review_faults,
    session_faults,
    staff_faults,
)
from streams.simulator import identity_faults as identity
from streams.simulator import meetings as meeting
from streams.simulator import presence_faults as presence
from streams.simulator import upload_faults as upload
from streams.simulator.kinds import Kind, Per

_ALL = frozenset(RULEBOOKS)
_LIMITED = frozenset({"guangxi", "chongqing", "sichuan"})
_GX, _CQ, _YC = frozenset({"guangxi"}), frozenset({"chongqing"}), frozenset({"yinchuan"})
_TIMELY = frozenset({"guangxi", "sichuan", "yinchuan"})
_S, _D = Per.SESSION, Per.DAY

KINDS: tuple[Kind, ...] = (
    Kind("idv01_missing", "IDV-01", _ALL, _S, identity.missing),
    Kind("idv01_too_early", "IDV-01", _LIMITED, _S, identity.too_early),
    Kind("idv01_wrong_method", "IDV-01", _ALL, _S, identity.wrong_method),
    Kind("idv01_other_person", "IDV-01", _ALL, _S, identity.other_person),
    Kind("idv01_failed", "IDV-01", _ALL, _S, identity.failed),
    Kind("idv01_after_opening", "IDV-01", _ALL, _S, identity.after_opening),
    Kind("idv01_evidence_too_late", "IDV-01", _ALL, _S, identity.evidence_too_late),
    Kind("idv01_no_certificate", "IDV-01", _YC, _S, identity.no_certificate),
    Kind("idv01_old_certificate", "IDV-01", _YC, _S, identity.old_certificate),
    Kind("idv01_cut_video", "IDV-01", _YC, _S, identity.cut_video),
    Kind("idv01_exact_limit", "IDV-01", _LIMITED, _S, identity.exact_limit, lawful=True),
    Kind("idv01_at_opening", "IDV-01", _ALL, _S, identity.at_opening, lawful=True),
    Kind("idv01_late_upload", "IDV-01", _ALL, _S, identity.late_upload, lawful=True),
    Kind("idv01_video_edge", "IDV-01", _YC, _S, identity.video_edge, lawful=True),
    Kind("idv01_remote_medicine", "IDV-01", _ALL - _YC, _S, identity.remote, lawful=True),
    Kind("idv02_unchecked_call", "IDV-02", _GX, _S, identity.unchecked_call),
    Kind("idv02_long_unchecked_call", "IDV-02", _GX, _S, identity.long_unchecked_call),
    Kind("idv02_gap_in_call", "IDV-02", _GX, _S, identity.gap_in_call),
    Kind("idv02_unchecked_text", "IDV-02", _GX, _S, identity.unchecked_text),
    Kind("idv02_stale_text", "IDV-02", _GX, _S, identity.stale_text),
    Kind("idv02_weak_method", "IDV-02", _GX, _S, identity.weak_method),
    Kind("idv02_evidence_too_late", "IDV-02", _GX, _S, identity.checks_too_late),
    Kind("idv02_exact_gap", "IDV-02", _GX, _S, identity.exact_gap, lawful=True),
    Kind("idv02_cancelled_call", "IDV-02", _GX, _S, identity.cancelled_call, lawful=True),
    Kind("idv02_late_upload", "IDV-02", _GX, _S, identity.checks_late, lawful=True),
    Kind("pha01_late_sign_on", "PHA-01", _CQ, _D, presence.late_sign_on),
    Kind("pha01_early_sign_off", "PHA-01", _CQ, _D, presence.early_sign_off),
    Kind("pha01_handover_gap", "PHA-01", _CQ, _D, presence.handover_gap),
    Kind("pha01_silent", "PHA-01", _CQ, _D, presence.silent),
    Kind("pha01_no_agreement", "PHA-01", _CQ, _D, presence.no_agreement),
    Kind("pha01_agreement_ended", "PHA-01", _CQ, _D, presence.agreement_ended),
    Kind("pha01_unfiled", "PHA-01", _CQ, _D, presence.unfiled),
    Kind("pha01_wrong_role", "PHA-01", _CQ, _D, presence.wrong_role),
    Kind("pha01_video_after_hours", "PHA-01", _CQ, _D, presence.video_after_hours),
    Kind("pha01_evidence_too_late", "PHA-01", _CQ, _D, presence.evidence_too_late),
    Kind("pha01_exact_gap", "PHA-01", _CQ, _D, presence.exact_gap, lawful=True),
    Kind("pha01_late_upload", "PHA-01", _CQ, _D, presence.late_upload, lawful=True),
    Kind("pha01_late_filing", "PHA-01", _CQ, _D, presence.late_filing, lawful=True),
    Kind("pha01_suspended", "PHA-01", _CQ, _D, presence.suspended, lawful=True),
    Kind("upl01_late", "UPL-01", _TIMELY, _S, upload.late),
    Kind("upl01_exact_limit", "UPL-01", _TIMELY, _S, upload.exact_limit, lawful=True),
    Kind("upl06_outage", "UPL-06", _TIMELY, _D, upload.outage),
    *upload.KINDS,
    *licence_faults.KINDS,
    *filing_faults.KINDS,
    *staff_faults.KINDS,
    *identity.KINDS,
    *meeting.KINDS,
    *session_faults.KINDS,
    *prescription_faults.KINDS,
    *review_faults.KINDS,
    *record_faults.KINDS,
    *conduct_faults.KINDS,
)

AREAS = tuple(dict.fromkeys(kind.area for kind in KINDS if kind.area and kind.area != meeting.AREA))
"""What can be wrong with a house; kinds of different areas do not touch each other."""

MEETINGS = tuple(kind for kind in KINDS if kind.area == meeting.AREA)
"""What happens between institutions: each of them has its chance in every house."""


def applicable(rulebook: str, names: frozenset[str] | None, lawful: bool, per: Per) -> list[Kind]:
    """The kinds that can happen under a rulebook; ``names`` limits them, None is all."""
    return [
        kind
        for kind in KINDS
        if rulebook in kind.rulebooks
        and kind.lawful is lawful
        and kind.per is per
        and (names is None or kind.name in names)
    ]
