"""The one import of grafana-foundation-sdk, quiet about the board model we chose.

Its classic (v1) models warn at import that v2 is preferred. We emit v1 on purpose: Grafana 13.0.0
refuses v2 files from provisioning, and every version from 11.6 on reads v1.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import (
        barchart,
        common,
        dashboard,
        stat,
        statetimeline,
        table,
        text,
        timeseries,
    )
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.variants import Dataquery
    from grafana_foundation_sdk.models import common as common_model
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models import text as text_model

__all__ = [
    "Builder",
    "Dataquery",
    "JSONEncoder",
    "barchart",
    "common",
    "common_model",
    "dashboard",
    "model",
    "stat",
    "statetimeline",
    "table",
    "text",
    "text_model",
    "timeseries",
]
