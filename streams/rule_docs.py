"""What is known of every rule and of every article, and the pages written from it.

``docs/rules.md`` comes from the rulebooks, the texts and the checks, ``docs/coverage.md`` from
``coverage/*.toml`` (RULES section 4). ``python -m streams.rule_docs`` writes both, ``--check`` only
compares. A rule that only the rulebooks know is shown with what they say.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from schemas.texts import LANGS, Lang, has, text
from streams.checks import RULES
from streams.checks.base import Rule
from streams.rulebook import NATIONAL, RULEBOOKS, Library, RuleSettings, clauses_of

COVERAGE = Path(__file__).with_name("coverage")
SEVERITIES = ("critical", "major", "minor", "info")
DOCUMENTS = {
    "national": ("互联网诊疗管理办法（试行）", "National measure (trial)"),
    "guangxi": ("广西互联网诊疗监管细则实施办法（试行，征求意见稿）", "Guangxi, draft for comment"),
    "chongqing": ("重庆市贯彻互联网医院管理办法实施细则", "Chongqing, with annex 1"),
    "sichuan": ("四川省互联网诊疗管理规范（试行）", "Sichuan (trial)"),
    "yinchuan": ("银川互联网医院管理办法", "Yinchuan, 2017"),
}
_ITEM = re.compile(r"([A-Z]{2,3}-\d\d)(?:\(([a-f](?:,[a-f])*)\))?")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Article:
    """An article of a document and what becomes of it.

    ``checked``, ``signals`` and ``filed`` name rules, with clauses in brackets (``DIS-01(a,c)``);
    ``human`` is why the rest is left to people; both texts are by language.
    """

    id: str
    gist: Mapping[Lang, str]
    disposition: str
    checked: tuple[str, ...]
    signals: tuple[str, ...]
    filed: tuple[str, ...]
    human: Mapping[Lang, str] | None
    note: Mapping[Lang, str] | None

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of all rules named, without their clauses."""
        named = (*self.checked, *self.signals, *self.filed)
        return tuple(dict.fromkeys(rule_of(item)[0] for item in named))


def rule_of(item: str) -> tuple[str, tuple[str, ...]]:
    """Rule and clauses of an entry such as ``DIS-01(a,c)``; ValueError if it is none."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise ValueError(f"no rule with clauses: {item!r}")
    return match[1], tuple(match[2].split(",")) if match[2] else ()


@cache
def coverage() -> Mapping[str, tuple[Article, ...]]:
    """Every article of the five documents, by rulebook, in the order of the text."""
    return {name: tuple(_articles(name)) for name in RULEBOOKS}


def _articles(name: str) -> Iterator[Article]:
    for raw in tomllib.loads((COVERAGE / f"{name}.toml").read_text(encoding="utf-8"))["article"]:
        article = Article(
            raw["id"],
            {lang: raw[lang] for lang in LANGS},
            raw["disposition"],
            tuple(raw.get("checked", ())),
            tuple(raw.get("signals", ())),
            tuple(raw.get("filed", ())),
            raw.get("human"),
            raw.get("note"),
        )
        yield article


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule of the catalogue, as far as it is known: ``rule`` is None until its check exists."""

    id: str
    rule: Rule | None
    books: Mapping[str, RuleSettings]

    @property
    def clauses(self) -> tuple[str, ...]:
        return clauses_of(self.id)

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """Event types and their payload fields; empty while there is no check."""
        return {} if self.rule is None else self.rule.reads

    def title(self, lang: Lang) -> str:
        key = f"rule.{self.id}.title"
        return text(key, lang) if has(key) else self.id

    def misses(self, lang: Lang) -> str | None:
        """What the rule cannot see."""
        key = f"rule.{self.id}.misses"
        return text(key, lang) if has(key) else None

    def says(self, clause: str | None, lang: Lang) -> str | None:
        """The message of a finding of that clause, its blanks shown as ‹name›."""
        own = f"rule.{self.id}.{clause}.message"
        key = own if clause and has(own) else f"rule.{self.id}.message"
        return _PLACEHOLDER.sub(r"‹\1›", text(key, lang)) if has(key) else None

    def resolution(self, clause: str | None) -> str | None:
        """AUTO or ADMIN (RULES 1.6.6); None while there is no check."""
        return None if self.rule is None else self.rule.resolution(clause).value

    def severity(self, name: str, clause: str | None = None) -> str:
        """In one rulebook; without a clause the highest of the clauses judged there."""
        settings = self.books[name]
        if clause is not None:
            return settings.severity(clause)
        judged = settings.clauses or tuple(settings.severities)
        found = {settings.severity(clause) for clause in judged}
        return min(found, key=SEVERITIES.index)

    def worst(self, names: Sequence[str]) -> str:
        """The highest severity in these rulebooks, of those that judge it if any does."""
        live = [name for name in names if self.books[name].enabled] or list(names)
        return min((self.severity(name) for name in live), key=SEVERITIES.index)

    def citations(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Each citation with the rulebooks, among these, that rest on it."""
        found: dict[str, list[str]] = {}
        for name in names:
            for citation in self.books[name].citations:
                found.setdefault(citation, []).append(name)
        return found

    def parameters(self, names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
        """Each parameter: its values, each with the rulebooks, among these, that state it."""
        found: dict[str, dict[str, list[str]]] = {}
        for name in names:
            for parameter, value in self.books[name].stated().items():
                values = found.setdefault(parameter, {})
                values.setdefault(value or "{}", []).append(name)
        return found


def entries(library: Library | None = None) -> dict[str, Entry]:
    """Every rule by its id, in the order of the national rulebook, which names all of them."""
    library = library or Library.load()
    checks = {rule.id: rule for rule in RULES}
    ids = dict.fromkeys((*library.books[NATIONAL].rules, *checks))
    return {
        rule_id: Entry(
            rule_id,
            checks.get(rule_id),
            {name: library.books[name].rules[rule_id] for name in RULEBOOKS},
        )
        for rule_id in ids
    }


# -- docs/rules.md ---------------------------------------------------------------------------------

_GENERATED = "<!-- generated by `python -m streams.rule_docs`; do not edit -->"
_RULES_HEAD = """\
# 规则 Rules

每条规则：名称、各规则集下的方式与严重程度、参数、法律依据（原文）、读取的事件、如何解除、看不到什么。
`ihwatch rules show ID` 给出同样的内容；`docs/coverage.md` 反过来从条文看规则。

Every rule: its name, how far it goes and how severe it is in each rulebook, parameters, legal basis
in the words of the documents, events read, how a finding ends, and what the rule cannot see.
`ihwatch rules show ID` prints the same; `docs/coverage.md` looks from the articles to the rules.

| 方式 mode | |
|---|---|
| own | 本文件有自己的条文 · the document has its own article |
| inherit | 继承国家办法 · taken over from the national measure |
| signal | 至多为疑似 · at most a suspicion for a human to look at |
| off | 不判断 · not judged by default |

状态 status: live 通知 notified · shadow 只记录 recorded only · retired 不再判断 judged no more.
AUTO: 违法状态结束后自动解除 · ends by itself when the condition has ended.
ADMIN: 以整改报告答复监管通知后解除 · ends by a completed rectification that answers a notice.
"""


def rules_page() -> str:
    """The text of docs/rules.md."""
    known = entries()
    lines = [_GENERATED, "", _RULES_HEAD]
    lines += [f"| | 规则 Rule | 严重 Severity | {' | '.join(RULEBOOKS)} |"]
    lines += ["|---|---|---|" + "---|" * len(RULEBOOKS)]
    for entry in known.values():
        modes = " | ".join(_mode(entry.books[name]) for name in RULEBOOKS)
        anchor = f"[{entry.id}](#{entry.id.lower()})"
        titles = f"{entry.title('zh')} {entry.title('en')}"
        lines.append(f"| {anchor} | {_cell(titles)} | {entry.worst(RULEBOOKS)} | {modes} |")
    for entry in known.values():
        lines += ["", *_rule(entry)]
    return "\n".join(lines).rstrip() + "\n"


def _rule(entry: Entry) -> Iterator[str]:
    yield f"## {entry.id}"
    yield ""
    yield f"**{entry.title('zh')}** · {entry.title('en')}"
    yield ""
    yield "| | " + " | ".join(RULEBOOKS) + " |"
    yield "|---|" + "---|" * len(RULEBOOKS)
    yield "| 方式 mode | " + " | ".join(_mode(entry.books[n]) for n in RULEBOOKS) + " |"
    yield "| 严重 severity | " + " | ".join(severities(entry, n) for n in RULEBOOKS) + " |"
    if entry.clauses:
        clauses = (judged(entry.books[name]) for name in RULEBOOKS)
        yield "| 款项 clauses | " + " | ".join(clauses) + " |"
    parameters = entry.parameters(RULEBOOKS)
    if parameters:
        yield ""
        yield "参数 Parameters:"
        yield ""
    for parameter, values in parameters.items():
        yield f"- `{parameter}`: {_values(values)}"
    citations = entry.citations(RULEBOOKS)
    if citations:
        yield ""
        yield "依据 Basis:"
        yield ""
    for citation, names in citations.items():
        yield f"- {citation} — {', '.join(names)}"
    yield ""
    yield "发现 Findings:"
    yield ""
    each: tuple[str | None, ...] = entry.clauses or (None,)
    for clause in each:
        yield from _finding(entry, clause)
    if entry.reads:
        yield ""
        yield "读取 Reads:"
        yield ""
    for event_type, read in entry.reads.items():
        fields = ", ".join(f"`{name}`" for name in read) or "—"
        yield f"- `{event_type}`: {fields}"
    missed = [entry.misses(lang) for lang in LANGS]
    if any(missed):
        yield ""
        yield "看不到 Misses: " + " ".join(part for part in missed if part)


def _finding(entry: Entry, clause: str | None) -> Iterator[str]:
    head = " ".join(filter(None, (f"({clause})" if clause else "", entry.resolution(clause))))
    if head:
        yield f"- {head}"
    indent = "  " if head else ""
    for lang in LANGS:
        said = entry.says(clause, lang)
        if said:
            yield f"{indent}- {said}"


def _mode(settings: RuleSettings) -> str:
    status = "" if settings.status.value == "live" else f" ({settings.status.value})"
    return settings.mode.value + status


def severities(entry: Entry, name: str) -> str:
    """The severity, and of the clauses those that differ; a dash where nothing is judged."""
    settings = entry.books[name]
    if not settings.enabled:
        return "—"
    base = settings.severities[""]
    others = (
        f"{key}: {value}"
        for key, value in settings.severities.items()
        if key and value != base and (key in settings.clauses or key not in entry.clauses)
    )
    return "; ".join((base, *others))


def judged(settings: RuleSettings) -> str:
    """The clauses judged, with a question mark those that are at most suspected."""
    if not settings.enabled:
        return "—"
    return " ".join(c + ("?" if settings.signals(c) else "") for c in settings.clauses)


def _values(values: Mapping[str, Sequence[str]]) -> str:
    if len(values) == 1:
        return f"`{next(iter(values))}`"
    # The national value first: it is the one the others depart from.
    return "; ".join(f"{', '.join(names)} `{value}`" for value, names in values.items())


# -- docs/coverage.md ------------------------------------------------------------------------------

_COVERAGE_HEAD = """\
# 条文覆盖 Coverage of the articles

五个文件的每一条、重庆附录的每一项如何处理。 What becomes of every article of the five documents and
of every item of Chongqing's annexes.

- **R** 由所列规则检查（疑似：至多为疑似） · checked by the rules (signal: at most a suspicion)
- **F** 声明或备案，由所列规则检查其有无，内容由人判断 ·
  declaration or filing, whose presence is checked; whether its content is adequate, by a human
- **H** 由人处理，附理由 · left to a human, with the reason
"""


def coverage_page() -> str:
    """The text of docs/coverage.md."""
    documents = coverage()
    lines = [_GENERATED, "", _COVERAGE_HEAD, "| 文件 Document | 条目 rows | R | F | H |"]
    lines.append("|---|---|---|---|---|")
    for name, articles in documents.items():
        counts = " | ".join(str(sum(k in a.disposition for a in articles)) for k in "RFH")
        lines.append(f"| [{DOCUMENTS[name][0]}](#{name}) | {len(articles)} | {counts} |")
    total = sum(map(len, documents.values()))
    lines += ["", f"合计 {total} 行。 {total} rows in all.", ""]
    for name, articles in documents.items():
        lines += [f"## {name}", "", " · ".join(DOCUMENTS[name]), ""]
        lines += ["| 条 | 要旨 | Gist | 处理 Disposition |", "|---|---|---|---|"]
        for article in articles:
            gists = " | ".join(_cell(article.gist[lang]) for lang in LANGS)
            lines.append(f"| {article.id} | {gists} | {_cell(disposition(article))} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def disposition(article: Article, langs: Sequence[Lang] = LANGS, linked: bool = True) -> str:
    """What becomes of an article, in these languages, its rules linked to their page."""
    signal = {"zh": "疑似", "en": "signal"}

    def named(items: Sequence[str]) -> str:
        return ", ".join(_link(item) if linked else item for item in items)

    parts = [f"R {named(article.checked)}"] if article.checked else []
    if article.signals:
        said = " ".join(signal[one] for one in langs)
        parts.append(f"R ({said}) {named(article.signals)}")
    if article.filed:
        parts.append(f"F {named(article.filed)}")
    if "R" in article.disposition and not (article.checked or article.signals):
        parts.append("R")
    for mark, words in (("", article.note), ("H ", article.human)):
        if words is not None:
            parts.append(mark + " ".join(words[one] for one in langs))
    return "; ".join(parts)


def _link(item: str) -> str:
    rule_id, _ = rule_of(item)
    return f"[{item}](rules.md#{rule_id.lower()})"


def _cell(content: str) -> str:
    return content.replace("|", "\\|")


# -- writing ---------------------------------------------------------------------------------------

_DOCS = Path(__file__).parent.parent / "docs"


def pages() -> Mapping[Path, str]:
    """Everything this module writes."""
    return {_DOCS / "rules.md": rules_page(), _DOCS / "coverage.md": coverage_page()}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` only compare: 3 if one differs."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m streams.rule_docs [--check]\n")
        return 2
    stale = []
    for path, content in pages().items():
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(path.name)
        if not arguments:
            path.write_text(content, encoding="utf-8")
    for name in stale:
        sys.stderr.write(f"{'differs' if arguments else 'written'}: docs/{name}\n")
    return 3 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
