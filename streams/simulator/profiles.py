"""What a compliant institution of each rulebook files, shows and asks for.

Data only. The lists are written from the rulebooks' own columns in RULES LIC-06, DIS-01 and SES-05
with the national items added; the codes are those of the reference set that ships with the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from streams.timeline import HOUR, MINUTE


class Regime(StrEnum):
    """When a doctor's identity must have been verified (IDV-01 ``scope``)."""

    SESSION = "PRE_SESSION"
    LOGIN = "LOGIN"
    ENROLMENT = "ENROLMENT"


REACH = {Regime.SESSION: 10 * MINUTE, Regime.LOGIN: 12 * HOUR}
"""How old a verification may be at the opening of a session."""

SECOND_NAME = "SECOND_NAME_INTERNET_HOSPITAL"
INDEPENDENT = "INDEPENDENT_INTERNET_HOSPITAL"
OWN_DOCTORS = "OWN_DOCTOR_SERVICE"
FORMS = (SECOND_NAME, INDEPENDENT, OWN_DOCTORS)


@dataclass(frozen=True, slots=True)
class Place:
    """A jurisdiction: region code, a city for names, the registration authority."""

    region: str
    city: str
    authority: str


PLACES = {
    "national": Place("130000", "河北", "河北省卫生健康委员会"),
    "guangxi": Place("450000", "广西", "广西壮族自治区卫生健康委员会"),
    "chongqing": Place("500000", "重庆", "重庆市卫生健康委员会"),
    "sichuan": Place("510000", "四川", "四川省卫生健康委员会"),
    "yinchuan": Place("640100", "银川", "银川市审批服务管理局"),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One rulebook as a compliant institution follows it.

    ``login_method`` is how its doctors sign in for the day; ``service_kinds`` are offered with
    their weights; ``daily_report`` is a security report on every calendar day; ``heartbeat`` is how
    often a pharmacist on duty shows signs of presence, by which nobody is judged but in Chongqing.
    """

    regime: Regime
    login_method: str
    documents: tuple[str, ...]
    notices: tuple[str, ...]
    staff_notice: str | None
    consent_items: tuple[str, ...]
    service_modes: tuple[str, ...]
    service_kinds: tuple[tuple[str, int], ...]
    report_recipient: str = "HEALTH_AUTHORITY"
    daily_report: bool = False
    heartbeat: int = 30 * MINUTE


_NATIONAL_DOCUMENTS = ("QUALITY_SAFETY", "SERVICE_MANAGEMENT")
_FOLLOW_UPS = (
    ("FOLLOW_UP", 83),
    ("FAMILY_DOCTOR", 10),
    ("HEALTH_CONSULTATION", 6),
    ("REMOTE_MEDICINE", 1),
)
AGREEMENT_ITEMS = ("SERVICE_CONTENT", "SERVICE_PROCESS", "RIGHTS_DUTIES", "RISKS")
UNITS = ("QUALITY", "SAFETY", "EMR", "IT", "PHARMACY", "ADVERSE_EVENT", "INTERNET_DIAGNOSIS")

PROFILES = {
    "national": Profile(
        regime=Regime.ENROLMENT,
        login_method="REAL_NAME_OTP",
        documents=_NATIONAL_DOCUMENTS,
        notices=("LICENCE", "HOURS", "PRICE_LIST"),
        staff_notice=None,
        consent_items=("RULES", "RISKS"),
        service_modes=("INTERNET_DIAGNOSIS",),
        service_kinds=_FOLLOW_UPS,
    ),
    "guangxi": Profile(
        regime=Regime.SESSION,
        login_method="FACE",
        documents=(
            *_NATIONAL_DOCUMENTS,
            "SELF_INSPECTION",
            "ADVERSE_EVENT_REPORTING",
            "TRAINING_APPRAISAL",
            "INFORMED_CONSENT",
            "PRESCRIPTION",
            "EMR",
            "IT_USE",
            "INFORMATION_SECURITY",
            "PRIVACY",
            "EMERGENCY_PLAN",
            "TERMINATION",
            "STAFF_EXIT",
        ),
        notices=("LICENCE", "DEPARTMENTS", "HOURS", "DISPUTE_PROCESS", "PRICE_LIST"),
        staff_notice="STAFF_E_LICENCE",
        consent_items=("RULES", "REQUIREMENTS", "RISKS"),
        service_modes=("INTERNET_DIAGNOSIS", "INTERNET_HOSPITAL"),
        service_kinds=_FOLLOW_UPS,
    ),
    "chongqing": Profile(
        regime=Regime.LOGIN,
        login_method="DIGITAL_CERT",
        documents=(
            *_NATIONAL_DOCUMENTS,
            "SELF_INSPECTION",
            "ADVERSE_EVENT_REPORTING",
            "POSITION_DUTIES",
            "IT_USE",
            "INFORMATION_SECURITY",
            "QUALITY_CONTROL_EVALUATION",
            "PRESCRIPTION",
            "INFORMED_CONSENT",
            "EMR",
            "FOLLOW_UP_RISK",
            "TRAINING_APPRAISAL",
            "EMERGENCY_PLAN",
            "TERMINATION",
            "COMPLAINT_HANDLING",
            "STAFF_EXIT",
        ),
        notices=(
            "LICENCE",
            "DEPARTMENTS",
            "SERVICE_ITEMS_PROCESS",
            "SERVICE_MODE_DOCTORS",
            "PRICE_LIST",
            "DRUG_PRICES",
            "DISPUTE_PROCESS",
            "COMPLAINT_CHANNEL",
            "CONVENIENCE_MEASURES",
        ),
        staff_notice="STAFF_IDENTITY_MARK",
        consent_items=("HOSPITAL_DOCTOR_INFO", "RULES", "REQUIREMENTS", "RISKS"),
        service_modes=("INTERNET_HOSPITAL",),
        service_kinds=_FOLLOW_UPS,
        heartbeat=5 * MINUTE,
    ),
    "sichuan": Profile(
        regime=Regime.LOGIN,
        login_method="FACE",
        documents=(
            *_NATIONAL_DOCUMENTS,
            "POSITION_DUTIES",
            "ADVERSE_EVENT_REPORTING",
            "REFUND_STANDARD",
            "INFO_PRESERVATION",
        ),
        notices=("QUALIFICATION_DOCUMENTS", "PRICE_LIST"),
        staff_notice=None,
        consent_items=("TECHNICAL_LIMITS", "FALSE_INFORMATION_RISK", "OFFLINE_ROUTE"),
        service_modes=("INTERNET_DIAGNOSIS", "INTERNET_HOSPITAL"),
        service_kinds=(*_FOLLOW_UPS, ("MDT", 4)),
        report_recipient="REGISTRATION_AUTHORITY",
    ),
    "yinchuan": Profile(
        regime=Regime.ENROLMENT,
        login_method="DIGITAL_CERT",
        documents=(
            *_NATIONAL_DOCUMENTS,
            "QUALITY_CONTROL_EVALUATION",
            "STAFF_EXIT",
        ),
        notices=("PRICE_LIST", "DRUG_PRICES", "QUALITY_INDICATORS"),
        staff_notice="STAFF_E_LICENCE",
        consent_items=("RULES", "RISKS"),
        service_modes=("MUNICIPAL_FILING",),
        service_kinds=(*_FOLLOW_UPS, ("COMMON_DISEASE", 8), ("REHAB_FOLLOW_UP", 6)),
        daily_report=True,
    ),
}

HOURS = (
    ((8 * 60, 18 * 60),),
    ((8 * 60, 12 * 60), (14 * 60, 21 * 60)),
    ((9 * 60, 22 * 60),),
    ((0, 24 * 60),),
)
"""Patterns of opening hours in minutes of the Shanghai day; institutions take them in turn."""

DEPARTMENTS = ("03", "13", "02")
"""诊疗科目 offered: 内科, 皮肤科, 全科医疗科."""

SPARE_DEPARTMENTS = ("04", "05", "07", "08", "10", "11", "14", "16", "20", "21")
"""诊疗科目 that an institution does not offer, for those who approve or use one they should not."""


def scope(dept: str) -> str:
    """执业范围 of the doctors of a department."""
    return f"SCOPE-{dept}"


DIAGNOSES = {
    "03": ("I10", "E11.9", "K29.5", "J45.9"),
    "13": ("L20.9", "L30.9", "L70.0"),
    "02": ("I10", "E78.5", "E11.9"),
}
"""ICD-10 codes of the common and chronic diseases treated, by department."""

DRUGS = {
    "03": ("D0001", "D0002", "D0003"),
    "13": ("D0004", "D0005"),
    "02": ("D0001", "D0002", "D0006"),
}
"""Prescription drugs without special control, by department."""

DRUG_CLASS = "ORDINARY"
SPECIAL_DRUGS = {
    "D0901": "NARCOTIC",
    "D0902": "PSYCHOTROPIC_1",
    "D0903": "PSYCHOTROPIC_2",
    "D0904": "OTHER_SPECIAL",
}
"""Drugs that nobody may prescribe online, with their classes."""

RISKY_DRUGS = {"D0905": "HIGH_RISK", "D0906": "SPECIAL_RULE"}
"""Drugs that nobody may prescribe online in Chongqing, with their classes."""

OVER_THE_COUNTER = "D0007"
DRUG_PRICES = {
    code: 900 + 370 * number
    for number, code in enumerate(
        (*(f"D{n:04d}" for n in range(1, 8)), *SPECIAL_DRUGS, *RISKY_DRUGS), 1
    )
}
SERVICE_PRICES = {"TEXT_IMAGE": 1_500, "VOICE": 2_500, "VIDEO": 4_000}
"""Prices in fen, as disclosed."""


def service_item(mode: str) -> str:
    """Price-list code of a consultation in a mode."""
    return f"S-{mode}"
