"""The catalogue lists what RULES section 2 lists, and importing it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from schemas import catalogue
from schemas.catalogue import EVENT_TYPES, Group, UploadClass


def test_there_are_38_events_in_four_groups_and_three_classes() -> None:
    assert len(set(EVENT_TYPES)) == 38
    assert Counter(map(catalogue.group, EVENT_TYPES)) == {
        Group.FILING: 12,
        Group.BUSINESS: 18,
        Group.EVALUATION: 6,
        Group.ADVERSE_EVENT: 2,
    }
    assert Counter(map(catalogue.upload_class, EVENT_TYPES)) == {
        UploadClass.FILING: 11,
        UploadClass.CLINICAL: 25,
        UploadClass.SUPERVISOR: 2,
    }


def test_classes_that_differ_from_their_group_are_those_of_the_rules() -> None:
    assert catalogue.upload_class("ServiceStatusChanged") is UploadClass.CLINICAL
    assert catalogue.upload_class("PeriodicDutyCompleted") is UploadClass.FILING
    assert catalogue.upload_class("StaffRegistryChecked") is UploadClass.SUPERVISOR
    assert catalogue.upload_class("SupervisionNoticeIssued") is UploadClass.SUPERVISOR


def test_unknown_types_are_key_errors() -> None:
    for ask in (catalogue.upload_class, catalogue.group, catalogue.code, catalogue.schema):
        with pytest.raises(KeyError):
            ask("../published")


def test_payload_fields_leave_the_envelope_out() -> None:
    assert catalogue.payload_fields("ServiceRated") == ("session_id", "score")


def test_importing_loads_no_codec_no_client_and_no_schema() -> None:
    """`ihwatch check` starts in under half a second; what it imports first must be light."""
    code = (
        "import sys, schemas.catalogue as c, schemas.topics, schemas.errors, schemas.texts\n"
        "assert not {'fastavro', 'confluent_kafka', 'faust'} & set(sys.modules)\n"
        "assert not c.schema.cache_info().currsize\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_flat_json_needs_no_avro_codec() -> None:
    """`ihwatch check` reads flat JSON."""
    code = (
        "import sys, schemas.flat, schemas.validate\n"
        "schemas.flat.from_flat\n"
        "assert not {'fastavro', 'confluent_kafka'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
