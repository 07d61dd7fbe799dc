"""`ihwatch boards build | push | preview`."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click

from schemas.errors import IhwatchError
from schemas.settings import Settings
from schemas.texts import LANGS, Lang

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_PORTS = {"http": 8123, "https": 8443}
# ClickHouse's own numbers: UNKNOWN_TABLE, UNKNOWN_DATABASE.
_NOT_MIGRATED = (60, 81)


class Unreachable(IhwatchError):
    """ClickHouse did not answer."""

    retriable = True


class NotMigrated(IhwatchError):
    """ClickHouse answered, but has not our tables."""

    exit_code = 5


@click.group()
def boards() -> None:
    """Build, push or preview the Grafana boards."""


@boards.command()
@click.option("--check", is_flag=True, help="Only say what differs (exit 3).")
def build(check: bool) -> int:
    """Rebuild dashboards/json and dashboards/provisioning from their sources."""
    from dashboards.build import main

    return main(["--check"] if check else [])


@boards.command()
@click.option("--grafana-url", help="Default: IHWATCH_GRAFANA_URL.")
@click.option("--lang", type=click.Choice([*LANGS, "both"]), default="both", show_default=True)
def push(grafana_url: str | None, lang: str) -> None:
    """Send folders and boards to Grafana, replacing those sent before.

    The token of a service account (role Editor) is taken from IHWATCH_GRAFANA_TOKEN or its _FILE
    twin. The data source is not sent: provision it from dashboards/provisioning.
    """
    from dashboards.push import push as send

    settings = Settings.from_env(os.environ)
    url = grafana_url or settings.grafana_url
    if not url:
        raise click.UsageError("give --grafana-url or set IHWATCH_GRAFANA_URL")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise click.UsageError("--grafana-url must be a URL with http:// or https://")
    if not settings.grafana_token:
        raise click.UsageError("set IHWATCH_GRAFANA_TOKEN or IHWATCH_GRAFANA_TOKEN_FILE")
    for address in send(url, settings.grafana_token, _langs(lang)):
        click.echo(address)


class _Instant(click.ParamType):
    """A date or an instant; without an offset it is Beijing time, as on the boards."""

    name = "instant"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        from dashboards.preview.model import SHANGHAI

        try:
            instant = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("write it as 2026-03-02 or 2026-03-02T08:00", param, ctx)
        return instant if instant.tzinfo else instant.replace(tzinfo=SHANGHAI)


@boards.command()
@click.option("--clickhouse-url", help="http(s)://user@host/db or chdb:///folder; default: setting")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--lang", type=click.Choice([*LANGS, "both"]), default="both", show_default=True)
@click.option("--from", "start", type=_Instant(), help="Default: the first instant stored.")
@click.option("--to", "end", type=_Instant(), help="Default: the last instant stored.")
@click.option("--rulebook", multiple=True, help="Only these jurisdictions.")
@click.option("--institution", multiple=True, help="Pages of these; default: the worst ten.")
def preview(
    clickhouse_url: str | None,
    out: Path,
    lang: str,
    start: datetime | None,
    end: datetime | None,
    rulebook: tuple[str, ...],
    institution: tuple[str, ...],
) -> None:
    """Render the boards to self-contained HTML pages, with the same SQL and without Grafana."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from dashboards.preview import render_preview
    from dashboards.preview.model import Board

    settings = Settings.from_env(os.environ)
    url = clickhouse_url or settings.clickhouse_url
    if not url:
        raise click.UsageError("give --clickhouse-url or set IHWATCH_CLICKHOUSE_URL")
    known = Board.load("overview", "en").choices("rulebook")
    if wrong := [one for one in rulebook if one not in known]:
        raise click.UsageError(f"no rulebook {', '.join(wrong)}; there are {', '.join(known)}")
    try:
        client = _connect(url, settings.clickhouse_password)
        pages = render_preview(
            client,
            out,
            langs=_langs(lang),
            start=start,
            end=end,
            rulebooks=rulebook,
            institutions=institution,
        )
        client.close()
    except ClickHouseError as error:
        # Its text may quote rows; the number says enough.
        code = getattr(error, "code", None)
        if code in _NOT_MIGRATED:
            raise NotMigrated("the database has not our tables: run ihwatch migrate") from None
        raise Unreachable(f"ClickHouse: {type(error).__name__} (code {code})") from None
    sys.stderr.write(f"{len(pages)} pages; open\n")
    click.echo(pages[0])


def _langs(lang: str) -> tuple[Lang, ...]:
    return LANGS if lang == "both" else tuple(one for one in LANGS if one == lang)


def _connect(url: str, password: str | None) -> "Client":
    """Open ClickHouse for reading; a database that is not named is `ihwatch`."""
    import clickhouse_connect

    parts = urlsplit(url)
    if parts.scheme == "chdb":
        folder = unquote(parts.path)
        if not Path(folder).is_dir():  # chDB would make an empty one
            raise click.UsageError(f"there is no folder {folder}")
        client = clickhouse_connect.get_client(interface="chdb", path=folder)
        client.database = "ihwatch"
        return client
    if parts.scheme not in _PORTS or not parts.hostname:
        raise click.UsageError("--clickhouse-url must be a URL with http://, https:// or chdb://")
    return clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        username=unquote(parts.username or "default"),
        password=password or "",
        database=parts.path.strip("/") or "ihwatch",
        connect_timeout=10,
        autogenerate_session_id=False,
        client_name="ihwatch boards",
    )
