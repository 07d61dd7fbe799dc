"""The boards keep their promises: whole panels, fixed ids, working links, languages alike."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import build, committed
from dashboards.style import codes
from schemas.catalogue import EVENT_TYPES
from schemas.errors import Reason
from schemas.texts import LANGS, Lang, catalogue

BOARDS = [(kind, lang) for kind in committed.KINDS for lang in LANGS]
UIDS = {committed.uid(kind, lang) for kind, lang in BOARDS}
both = pytest.mark.parametrize(("kind", "lang"), BOARDS)


@cache
def board(kind: str, lang: Lang) -> dict[str, Any]:
    return json.loads(build.files()[Path("json", lang, f"{kind}.json")])  # type: ignore[no-any-return]


def panels(kind: str, lang: Lang) -> list[dict[str, Any]]:
    return list(board(kind, lang)["panels"])


def statements(content: dict[str, Any]) -> Iterator[str]:
    """Every SQL text of a board: panels and variables."""
    for panel in content["panels"]:
        for target in panel.get("targets", []):
            yield target["rawSql"]
    for variable in content["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["rawSql"]


def links(content: dict[str, Any]) -> Iterator[str]:
    for link in content["links"]:
        yield link["url"]
    for panel in content["panels"]:
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            for one in override["properties"]:
                if one["id"] == "links":
                    yield from (link["url"] for link in one["value"])


def test_what_is_committed_equals_a_rebuild() -> None:
    assert build.differing() == []


def test_a_stale_a_missing_and_a_stray_file_are_named(tmp_path: Path) -> None:
    for path, content in build.files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    assert build.differing(tmp_path) == []
    (tmp_path / "json/zh/overview.json").write_text("{}", encoding="utf-8")
    (tmp_path / "json/en/overview.json").unlink()
    (tmp_path / "json/en/old.json").write_text("{}", encoding="utf-8")
    names = [path.as_posix() for path in build.differing(tmp_path)]
    assert names == ["json/en/old.json", "json/en/overview.json", "json/zh/overview.json"]


@both
def test_identity_zone_and_order_are_fixed(kind: str, lang: Lang) -> None:
    content = board(kind, lang)
    assert content["uid"] == committed.uid(kind, lang)
    assert content["timezone"] == "Asia/Shanghai"
    assert ("Beijing time" if lang == "en" else "北京时间") in content["title"]
    assert content["editable"] is False
    text = (committed.FOLDER / lang / f"{kind}.json").read_text(encoding="utf-8")
    assert text == json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


@both
def test_every_panel_is_complete(kind: str, lang: Lang) -> None:
    shown = panels(kind, lang)
    ids = [panel["id"] for panel in shown]
    assert len(set(ids)) == len(ids) > 10
    for panel in shown:
        assert panel["title"], panel["id"]
        assert len(panel["description"]) > 3, panel["title"]
        if panel["type"] != "text":
            assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"][0]["editorType"] == "sql"


@both
def test_panels_fill_the_grid_without_overlap(kind: str, lang: Lang) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in panels(kind, lang):
        grid = panel["gridPos"]
        own = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
    assert len(cells) == 24 * (max(y for _, y in cells) + 1)


@both
def test_no_query_uses_what_is_known_to_mislead(kind: str, lang: Lang) -> None:
    for sql in statements(board(kind, lang)):
        assert "$__conditionalAll" not in sql  # expanded in the browser only
        assert "$__timeInterval" not in sql  # cuts days at midnight UTC
        assert not re.search(r"\$__(timeFilter|fromTime|toTime)\b", sql)  # lose the last second
        assert not re.search(r"\$__timeFilter_ms\([^)]*[( ]", sql)  # the plugin cuts at the first )
        for day in re.findall(r"toStartOf(?:Day|Week|Month)\([^)]*\)", sql):
            assert "'Asia/Shanghai'" in day
        for name, form in re.findall(r"\$\{(\w+)(:\w+)?\}", sql):
            assert form == ":singlequote", name
        for before in re.findall(r"(\S+ ?)\(?\$\{\w+:singlequote\}", sql):
            assert before.endswith("IN "), sql
        reads = re.findall(r"\bFROM (\w+)", sql)
        assert "events" not in reads or "pieces" in sql, "events are for evidence only"


@both
def test_variables_are_known_before_the_time_is(kind: str, lang: Lang) -> None:
    variables = board(kind, lang)["templating"]["list"]
    assert next(one["name"] for one in variables) == "datasource"
    for variable in variables:
        if variable["type"] == "query":
            assert "$__" not in variable["query"]["rawSql"]
        if variable.get("multi"):
            assert variable["includeAll"]
            assert variable["current"]["value"] == ["$__all"]


@both
def test_every_variable_in_a_query_is_declared(kind: str, lang: Lang) -> None:
    content = board(kind, lang)
    declared = {one["name"] for one in content["templating"]["list"]}
    used = {name for sql in statements(content) for name in re.findall(r"\$\{(\w+)", sql)}
    assert used <= declared


@both
def test_links_lead_somewhere_and_carry_time_and_filters(kind: str, lang: Lang) -> None:
    content = board(kind, lang)
    own = {one["name"] for one in content["templating"]["list"]}
    for url in links(content):
        assert re.match(r"/d/([\w-]+)", url)[1] in UIDS, url  # type: ignore[index]
        if "__data" in url:
            assert "${__url_time_range}" in url
            carried = set(re.findall(r"\$\{(\w+):queryparam\}", url))
            assert {"datasource", "rulebook", "severity"} <= carried <= own
    for link in content["links"]:
        assert link["keepTime"]
        assert link["includeVars"]


def test_the_overview_leads_to_the_institution_of_the_row() -> None:
    urls = [url for url in links(board("overview", "zh")) if "__data" in url]
    assert urls
    assert all(
        url.startswith("/d/ih-institution-zh?var-institution=${__data.fields.institution_id}")
        for url in urls
    )


@pytest.mark.parametrize("kind", committed.KINDS)
def test_both_languages_are_the_same_board(kind: str) -> None:
    """Only texts differ: ids, kinds, places, colours, units and the meaning of the SQL agree."""
    assert _bare(board(kind, "zh")) == _bare(board(kind, "en"))


def _bare(content: Any) -> Any:
    """A board without its texts."""
    said = {"title", "description", "text", "label", "noValue", "displayName", "query", "content",
            "tooltip", "uid", "tags", "url"}  # fmt: skip
    if isinstance(content, dict):
        if content.get("id") in said:  # an override that sets a text
            return content["id"]
        return {
            key: re.sub(r"_(zh|en)\b|'[^']*'", "", value) if key == "rawSql" else _bare(value)
            for key, value in content.items()
            if key not in said and key != "definition"
        }
    if isinstance(content, list):
        return [_bare(one) for one in content]
    return content


@both
def test_colour_never_stands_alone(kind: str, lang: Lang) -> None:
    """Each mapped colour has a text, and each fixed or threshold colour belongs to a heading."""
    for panel in panels(kind, lang):
        config = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
        for mapping in config["defaults"].get("mappings", []):
            assert all(one["text"] for one in mapping["options"].values())
        for override in config["overrides"]:
            said = {one["id"]: one["value"] for one in override["properties"]}
            assert said["displayName"]
            for mapping in said.get("mappings", []):
                assert all(one["text"] for one in mapping["options"].values())


def test_codes_that_share_a_mapping_differ_in_colour_and_text() -> None:
    for panel in panels("institution", "en"):
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            for one in override["properties"]:
                if one["id"] != "mappings" or override["matcher"]["options"] != "state":
                    continue
                results = list(one["value"][0]["options"].values())
                assert len({result["color"] for result in results}) == len(results) == 5


def test_every_code_of_the_contract_has_a_name() -> None:
    assert set(codes("event")) == set(EVENT_TYPES)
    assert set(codes("reason")) == {str(reason) for reason in Reason}


@pytest.mark.parametrize("lang", LANGS)
def test_no_text_is_left_over(lang: Lang) -> None:
    """A text of a panel or column that no board shows any more goes."""
    ours = {
        key: entry[lang]
        for key, entry in catalogue().items()
        if key.startswith(("boards.overview.", "boards.institution.", "boards.column."))
    }
    everything = "".join(
        json.dumps(board(kind, lang), ensure_ascii=False) for kind in committed.KINDS
    )
    unused = [
        key for key, said in ours.items() if json.dumps(said, ensure_ascii=False) not in everything
    ]
    assert not unused


def test_provisioning_agrees_with_the_boards() -> None:
    found = {
        path.name: yaml.safe_load(text)
        for path, text in build.files().items()
        if path.suffix == ".yaml"
    }
    (source,) = found["clickhouse.yaml"]["datasources"]
    chosen = board("overview", "zh")["templating"]["list"][0]
    assert source["uid"] == chosen["current"]["value"]
    assert source["type"] == chosen["query"] == "grafana-clickhouse-datasource"
    assert source["secureJsonData"]["password"].startswith("$")
    providers = found["boards.yaml"]["providers"]
    assert [one["folderUid"] for one in providers] == ["ihwatch-zh", "ihwatch-en"]
    for lang, provider in zip(LANGS, providers, strict=True):
        assert provider["options"]["path"].endswith(f"/{lang}")
        assert provider["disableDeletion"] is True
        assert provider["allowUiUpdates"] is False
