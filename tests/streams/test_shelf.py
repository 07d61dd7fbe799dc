"""The shelf: who is judged again when evidence comes to what verdicts rest on."""

from streams.cases.shelf import REPLACED, Shelf

NAME = ("h1", "prescription", "p1")


def test_an_id_may_hold_the_sign_that_marks_topics_of_rules() -> None:
    shelf = Shelf()
    shelf.watch(NAME, shelf.open(NAME), "session/a#b", (0, 10))
    assert shelf.watchers("h1", "session/a#b", 5) == [NAME]
    assert shelf.watchers("h1", "session/a", 5) == []


def test_spans_grow_but_those_of_a_rules_own_topic_are_replaced() -> None:
    shelf = Shelf()
    case = shelf.open(NAME)
    for topic in ("session/a", REPLACED + "LIC-01"):
        shelf.watch(NAME, case, topic, (5, 10))
        shelf.watch(NAME, case, topic, (20, 30))
        shelf.watch(NAME, case, topic, (21, 29))
    assert case.watches == {"session/a": (5, 30), REPLACED + "LIC-01": (21, 29)}
    assert shelf.watchers("h1", "acts/", 25) == [NAME]
    shelf.unwatch(NAME, case, REPLACED + "LIC-01")
    assert shelf.watchers("h1", "acts/", 25) == []
