"""The preview pages in a real browser: every panel drawn, nothing complained of, nothing fetched.

IHWATCH_TEST_SCREENSHOTS names a folder to keep screenshots in, for people to look at.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.preview import render_preview
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrations import migrate
from tests.browser.chromium import Chromium, Tab, program
from tests.support import board_data
from tests.support.require import require

pytestmark = pytest.mark.browser

INSTITUTIONS = ("GX-0001", "CQ-0003")
PAGES = [
    "index.html",
    *(f"overview-{lang}.html" for lang in ("zh", "en")),
    *(f"institution-{one}-{lang}.html" for one in INSTITUTIONS for lang in ("zh", "en")),
]

# For each panel what it shows: marks of a chart, visible rows, tiles, or words.
_CONTENTS = """
[...document.querySelectorAll(".panel[data-panel]")].map(panel => {
  const count = {
    barchart: () => panel.querySelectorAll(".barlayer .point path").length,
    "state-timeline": () => panel.querySelectorAll(".barlayer .point path").length,
    timeseries: () =>
      panel.querySelectorAll(".barlayer .point path, .scatterlayer path.point").length,
    table: () => [...panel.querySelectorAll("tbody tr")].filter(row => row.offsetHeight).length,
    stat: () => panel.querySelectorAll(".tile .value").length,
    text: () => panel.querySelectorAll(".markdown p").length,
  }[panel.dataset.kind]();
  const box = panel.getBoundingClientRect();
  return {title: panel.querySelector("h2").textContent, kind: panel.dataset.kind, count,
          wide: panel.scrollWidth > panel.clientWidth + 1, width: box.width, height: box.height};
})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require(program() is not None, "Chromium (Debian: apt-get install chromium)")
    base = tmp_path_factory.mktemp("browser")
    client = connect(f"chdb://{base}/chdb")
    try:
        migrate(client)
        board_data.load(client)
        render_preview(
            client,
            base / "pages",
            start=board_data.START,
            end=board_data.END,
            institutions=INSTITUTIONS,
        )
    finally:
        client.close()
    return base / "pages"


@pytest.fixture(scope="module")
def browser(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def tab(request: pytest.FixtureRequest, browser: Chromium, folder: Path) -> Iterator[Tab]:
    opened = browser.open(folder / request.param)
    yield opened
    browser.close(opened)


def on(*names: str) -> pytest.MarkDecorator:
    """Run on these pages; each is loaded once, since reading plotly takes a browser seconds."""
    return pytest.mark.parametrize("tab", names, indirect=True, scope="module")


@on(*PAGES)
def test_every_panel_has_data_and_nothing_goes_wrong(
    tab: Tab, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["tab"]
    panels = tab.evaluate(_CONTENTS)
    if keep := os.environ.get("IHWATCH_TEST_SCREENSHOTS"):
        Path(keep).mkdir(parents=True, exist_ok=True)
        tab.screenshot(Path(keep, name).with_suffix(".png"))
    assert len(panels) >= (12 if name != "index.html" else 0)
    for panel in panels:
        assert panel["count"] > 0, f"{name}: {panel['title']} shows nothing"
        assert not panel["wide"], f"{name}: {panel['title']} overflows"
        assert panel["height"] > 60
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.complaints() == []
    assert len(tab.requests()) == 1, "the page asked for something besides itself"


@on("institution-GX-0001-en.html")
def test_choosing_a_finding_shows_its_facts_and_evidence(tab: Tab) -> None:
    visible = """
    [...document.querySelectorAll("tr[data-finding]")].filter(row => row.offsetHeight)
      .map(row => row.dataset.finding)
    """
    first = set(tab.evaluate(visible))
    assert len(first) == 1
    links = tab.evaluate("[...document.querySelectorAll('td a')].map(a => a.hash)")
    other = next(link for link in links if link != f"#finding={next(iter(first))}")
    tab.evaluate(f"document.querySelector('td a[href=\"{other}\"]').click()")
    tab.evaluate("new Promise(done => setTimeout(done, 50))")
    chosen = tab.evaluate(visible)
    assert {f"#finding={one}" for one in chosen} == {other}
    assert len(chosen) > 5  # facts, history and evidence
    assert tab.complaints() == []


@on("overview-zh.html")
def test_one_click_leads_from_the_overview_to_the_institution(tab: Tab) -> None:
    href = "institution-GX-0001-zh.html"
    assert tab.evaluate(f"!!document.querySelector('table a[href=\"{href}\"]')")
    text = tab.evaluate("document.body.innerText")
    for said in ("北京时间", "数据截至", "未结问题", "不判定", "n < 30"):
        assert said in text


@on("overview-en.html")
def test_a_table_can_be_taken_as_csv(tab: Tab) -> None:
    """Caught where the page would save it: quoted, with the mark that spreadsheets need."""
    csv = tab.evaluate(
        """(async () => {
          let blob;
          URL.createObjectURL = made => { blob = made; return "#"; };
          HTMLAnchorElement.prototype.click = () => {};
          document.querySelector("button[data-csv]").click();
          const bytes = new Uint8Array(await blob.arrayBuffer());
          return [bytes[0] === 0xef, new TextDecoder().decode(bytes)];
        })()"""
    )
    assert csv[0] is True
    lines = csv[1].splitlines()
    assert lines[0].startswith('"Rank","Institution"')
    assert len(lines) == 1 + len(board_data.HOSPITALS)


@on("overview-en.html")
def test_charts_fit_the_paper_when_printed(tab: Tab) -> None:
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    widths = tab.evaluate(
        "[...document.querySelectorAll('[data-figure]')].map(f => "
        "[f.querySelector('.main-svg').getBoundingClientRect().width, f.clientWidth])"
    )
    assert widths
    assert all(abs(drawn - room) <= 1 for drawn, room in widths)
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.complaints() == []
