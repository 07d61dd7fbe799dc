"""Send the committed boards to a Grafana that is not provisioned from files.

grafana-api serves for folders and dashboards only: its calls on data sources go by numeric id,
which current Grafana has switched off, so the data source is provisioned by file or set up by hand
with our uid. Sent again, a board replaces itself: uids are fixed and `overwrite` is set.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from dashboards.committed import KINDS, board, folder_uid
from schemas.errors import IhwatchError
from schemas.texts import LANGS, Lang, text

_TIMEOUT_S = 10.0


class GrafanaUnreachable(IhwatchError):
    """Grafana did not answer, or answered that it cannot now."""

    retriable = True


class GrafanaRefused(IhwatchError):
    """Grafana, or whatever answers at its address, does not take the board and will not later."""

    exit_code = 5


class GrafanaDenied(IhwatchError):
    """The token is missing, wrong, or may not write boards."""

    exit_code = 2


def push(url: str, token: str, langs: tuple[Lang, ...] = LANGS) -> Iterator[str]:
    """Create or rename the folders, send every board, and yield the address of each."""
    grafana = _connect(url, token)
    for lang in langs:
        _folder(grafana, folder_uid(lang), text("boards.folder", lang))
        for kind in KINDS:
            content = board(kind, lang)
            wish = {
                "dashboard": {**content, "id": None},
                "folderUid": folder_uid(lang),  # not folderId: Grafana 13 ignores it
                "overwrite": True,
                "message": "ihwatch boards push",
            }
            answer = _ask(grafana.dashboard.update_dashboard, wish)
            yield f"{url.rstrip('/')}{answer.get('url', '/d/' + content['uid'])}"


def _connect(url: str, token: str) -> Any:
    from grafana_api.grafana_face import GrafanaFace

    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    return GrafanaFace(
        auth=token,
        host=parts.hostname,
        port=parts.port,
        url_path_prefix=f"{prefix}/" if prefix else "",
        protocol=parts.scheme,
        timeout=_TIMEOUT_S,
    )


def _folder(grafana: Any, uid: str, title: str) -> None:
    """Make sure that the folder exists under this uid and title."""
    try:
        found = _ask(grafana.folder.get_folder, uid)
    except GrafanaRefused as error:
        if error.args[1:] != (404,):
            raise
        _ask(grafana.folder.create_folder, title, uid)
        return
    if found.get("title") != title:
        _ask(grafana.folder.update_folder, uid, title, overwrite=True)


def _ask(call: Any, *arguments: Any, **more: Any) -> dict[str, Any]:
    """Call grafana-api, turning its errors, and those it lets through, into ours."""
    from grafana_api.grafana_api import GrafanaException

    try:
        answer = call(*arguments, **more)
    except GrafanaException as error:
        status = int(error.status_code)
        said = f"Grafana answered {status}: {_said(error.response)}"
        if status in (401, 403):
            raise GrafanaDenied(said) from None
        if status >= 500 or status == 429:
            raise GrafanaUnreachable(said) from None
        raise GrafanaRefused(said, status) from None
    # It reads every answer as JSON, and trips over an error page that is a text.
    except (ValueError, TypeError):
        raise GrafanaRefused("what answers there does not speak as Grafana does") from None
    except OSError as error:  # the root of its HTTP library's errors
        raise GrafanaUnreachable(f"Grafana does not answer: {type(error).__name__}") from None
    if not isinstance(answer, dict):
        raise GrafanaRefused("what answers there does not speak as Grafana does")
    return answer


def _said(response: Any) -> str:
    message = response.get("message") if isinstance(response, dict) else None
    return str(message or "no reason given")[:200]
