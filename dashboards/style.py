"""Colours and names of codes, the same on every board.

Colours are Okabe and Ito's, told apart with every common form of colour blindness. They never
stand alone: every code also has its text (`boards.<kind>.<code>` in the catalogue of texts), and
codes keep a fixed order.
"""

from dashboards.sdk import model
from schemas.texts import Lang, catalogue, text

VIOLATED = "#D55E00"
LATE = "#E69F00"
COMPLIANT = "#009E73"
SETTLED = "#0072B2"
TAKEN_BACK = "#CC79A7"
LIGHT = "#56B4E9"
UNKNOWN = "#999999"
PLAIN = "#4A6076"

# In the order of weight, which is also their order on every board.
SEVERITIES = {"critical": VIOLATED, "major": LATE, "minor": LIGHT, "info": UNKNOWN}
STATES = {
    "CONFIRMED": VIOLATED,
    "SUSPECTED": LATE,
    "RESOLVED": SETTLED,
    "WITHDRAWN": TAKEN_BACK,
    "CLEARED": COMPLIANT,
}
# The worst state of a rule in a stretch of time, as a number: Grafana cannot pivot texts.
TIMELINE = {"0": COMPLIANT, "1": LATE, "2": VIOLATED}

_COLOURS = {"severity": SEVERITIES, "state": STATES, "timeline": TIMELINE}


def codes(kind: str) -> list[str]:
    """List the codes of a kind (`state`, `rulebook`, `reason`, ...), in the order of the texts."""
    prefix = f"boards.{kind}."
    return [key.removeprefix(prefix) for key in catalogue() if key.startswith(prefix)]


def label(kind: str, code: str, lang: Lang) -> str:
    """Return the text of one code."""
    return text(f"boards.{kind}.{code}", lang)


def mapping(lang: Lang, *kinds: str) -> list[model.ValueMapping]:
    """Return a value mapping that shows the text, and the colour if the kind has one, of each code.

    Several kinds may share a column (the facts of a finding); their codes must differ.
    """
    options: dict[str, model.ValueMappingResult] = {}
    for kind in kinds:
        colours = _COLOURS.get(kind, {})
        for code in codes(kind):
            assert code not in options, f"two meanings of {code}"
            options[code] = model.ValueMappingResult(
                text=label(kind, code, lang), color=colours.get(code), index=len(options)
            )
    return [model.ValueMap(options=options)]
