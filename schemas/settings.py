"""One frozen `Settings`, read from the environment in one place, with every fault named at once.

Each field below is the whole truth about one setting: its name (`brokers` is read from
IHWATCH_BROKERS), type, default, limits, and what it means in both languages. docs/settings.md is
generated from it (`python -m schemas.settings --docs`). Secrets are masked in repr() and may be
given as a file instead (IHWATCH_WEBHOOK_SECRET_FILE), as container platforms mount them. An
IHWATCH_ name that no field knows is a fault too: a typing error must not become a silent default.
Nothing is read at import.
"""

import base64
import binascii
import dataclasses
import difflib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from schemas.errors import IhwatchError

PREFIX = "IHWATCH_"
# Read by the tests and the benchmarks, not by the product.
_NOT_OURS = ("IHWATCH_REQUIRE_ALL", "IHWATCH_TEST_", "IHWATCH_BENCH_")
_MASK = "********"


class SettingsError(IhwatchError):
    """The environment cannot be used; `faults` names every fault, and never a secret's value."""

    retriable = False
    exit_code = 2

    def __init__(self, faults: list[str]) -> None:
        super().__init__("the settings cannot be used:\n" + "\n".join(f"  - {f}" for f in faults))
        self.faults = faults


def _setting(
    default: Any,
    *,
    en: str,
    zh: str,
    check: Callable[[Any], None] | None = None,
    secret: bool = False,
) -> Any:
    """Declare a setting; `check` raises ValueError saying what is wanted, not what was given."""
    meta = {"en": en, "zh": zh, "check": check, "secret": secret}
    return dataclasses.field(default=default, metadata=meta)


# --- what a value must be -------------------------------------------------------------------------


def _between(low: float, high: float) -> Callable[[float], None]:
    def check(value: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")

    return check


def _matching(pattern: str, wanted: str) -> Callable[[str], None]:
    compiled = re.compile(pattern)

    def check(value: str) -> None:
        if not compiled.fullmatch(value):
            raise ValueError(f"must be {wanted}")

    return check


def _url(*schemes: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        wanted = "must be a URL with " + " or ".join(f"{scheme}://" for scheme in schemes)
        try:
            parts = urlsplit(value)
            whole = parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:  # its text repeats the value, which may hold a token
            raise ValueError(wanted) from None
        if parts.scheme not in schemes or not (whole or parts.scheme == "chdb"):
            raise ValueError(wanted)
        if parts.password is not None:
            raise ValueError("must not hold a password")

    return check


def _standard_webhooks_secret(value: str) -> None:
    try:
        size = len(base64.b64decode(value.removeprefix("whsec_"), validate=True))
    except binascii.Error:
        size = 0
    if not value.startswith("whsec_") or not 24 <= size <= 64:
        raise ValueError("must be whsec_ and 24 to 64 random bytes in base64 (Standard Webhooks)")


_OVERRIDE = re.compile(r"(?:[a-z]+\.)?[a-z]+[0-9]*\.\w+(?:\[\w+\])?=\S.*")
"""``idv01.scope=SESSION``, in one rulebook ``guangxi.idv01.status=shadow``."""


def _overrides(values: tuple[str, ...]) -> None:
    if not all(_OVERRIDE.fullmatch(value) for value in values):
        raise ValueError("must be NAME=VALUE pairs such as idv01.pre_max_age=15m, apart by ';'")


_BROKERS = _matching(r"[^\s:,]+:\d{1,5}(,[^\s:,]+:\d{1,5})*", "host:port, several apart by commas")
_TOPIC = _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "letters, digits, '.', '_' and '-'")
_PORT = _between(1, 65535)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Everything a process of ours may be told from outside, checked and frozen."""

    brokers: str = _setting(
        "127.0.0.1:9092",
        en="Kafka bootstrap servers, `host:port`, apart by commas.",
        zh="Kafka 引导服务器，`主机:端口`，逗号分隔。",
        check=_BROKERS,
    )
    topic_prefix: str = _setting(
        "ih",
        en="First part of every topic name (`ih.events`).",
        zh="所有主题名的前缀（`ih.events`）。",
        check=_TOPIC,
    )
    partitions: int = _setting(
        8,
        en="Partitions of the events topic and of the worker's tables; fixed once data flows.",
        zh="事件主题及工作进程状态表的分区数；有数据后不可更改。",
        check=_between(1, 1024),
    )
    replication: int = _setting(
        1,
        en="Copies of every topic that `ihwatch topics create` makes; 3 in production.",
        zh="`ihwatch topics create` 建主题时的副本数；生产环境用 3。",
        check=_between(1, 9),
    )
    group: str = _setting(
        "ihwatch-worker",
        en="Consumer group of the workers, and first part of their changelog topics.",
        zh="工作进程的消费组名，也是其变更日志主题的前缀。",
        check=_TOPIC,
    )
    registry_url: str | None = _setting(
        None,
        en="Schema registry (Confluent API) for framing `00`; without it, only our schema files.",
        zh="模式注册中心地址（Confluent 接口），用于 `00` 帧格式；不设则只用自带模式。",
        check=_url("http", "https"),
    )
    directory: Path | None = _setting(
        None,
        en="TOML file of the institutions: rulebook, name and signing keys of each.",
        zh="机构目录文件（TOML）：各机构的规则集、名称和签名密钥。",
    )
    allow_unsigned: bool = _setting(
        False,
        en="Accept events without a signature. For trials only: anybody may then speak as anybody.",
        zh="接受未签名的事件。仅供试用：开启后任何人都可冒充任何机构。",
    )
    data_dir: Path = _setting(
        Path("ihwatch-data"),
        en="Folder of the worker's local state; two processes must never share one.",
        zh="工作进程本地状态目录；两个进程绝不可共用。",
    )
    table_store: Literal["rocksdb", "memory"] = _setting(
        "rocksdb",
        en="Where case files are held; both are rebuilt from Kafka when lost.",
        zh="案卷的存放方式；丢失后都可由 Kafka 重建。",
    )
    clock: Literal["log-append", "create"] = _setting(
        "log-append",
        en="Whose timestamp `received_at` is: the broker's, or the producer's (as in the demo).",
        zh="`received_at` 取谁的时间戳：消息服务器的，或生产者的（模拟与演示）。",
    )
    tick_interval_ms: int = _setting(
        1000,
        en="How often idle partitions get a tick that moves their clock, in milliseconds.",
        zh="向空闲分区写入时钟节拍的间隔，毫秒。",
        check=_between(50, 3_600_000),
    )
    reject_ratio_limit: float = _setting(
        0.5,
        en="Share of rejected events over which the worker stops, since our deploy is wrong then.",
        zh="拒收比例超过此值时工作进程停止，因为此时多半是部署有误。",
        check=_between(0.01, 1.0),
    )
    reference_dir: Path | None = _setting(
        None,
        en="Folder of reference lists (drugs, departments, ICD-10, working days); default: ours.",
        zh="参考目录（药品、科室、ICD-10、工作日）所在文件夹；缺省用自带的。",
    )
    overrides: tuple[str, ...] = _setting(
        (),
        en="Rulebook parameters as in `check --set`, apart by `;`: `idv01.pre_max_age=15m`.",
        zh="覆盖规则参数，写法同 `check --set`，以 `;` 分隔：`idv01.pre_max_age=15m`。",
        check=_overrides,
    )
    web_host: str = _setting(
        "127.0.0.1",
        en="Address on which metrics and health are served.",
        zh="指标和健康页的监听地址。",
    )
    web_port: int = _setting(
        6066,
        en="Port of metrics and health.",
        zh="指标和健康页的端口。",
        check=_PORT,
    )
    clickhouse_url: str | None = _setting(
        None,
        en="`http(s)://user@host:port/database`, or `chdb:///folder` for one inside the process.",
        zh="`http(s)://用户@主机:端口/库名`；进程内嵌时用 `chdb:///目录`。",
        check=_url("http", "https", "chdb"),
    )
    clickhouse_password: str | None = _setting(
        None,
        en="Password of the ClickHouse user.",
        zh="ClickHouse 用户的密码。",
        secret=True,
    )
    webhook_url: str | None = _setting(
        None,
        en="Where alerts are posted. Masked, since the addresses of chat robots hold a token.",
        zh="告警推送地址。显示时隐去，因为聊天机器人的地址里含令牌。",
        check=_url("http", "https"),
        secret=True,
    )
    webhook_secret: str | None = _setting(
        None,
        en="Standard Webhooks signing secret, `whsec_` and base64.",
        zh="Standard Webhooks 签名密钥，`whsec_` 加 base64。",
        check=_standard_webhooks_secret,
        secret=True,
    )
    webhook_timeout_s: float = _setting(
        15.0,
        en="How long the receiver may take to answer, in seconds.",
        zh="等待接收方应答的时限，秒。",
        check=_between(0.1, 120),
    )
    webhook_lang: Literal["zh", "en"] = _setting(
        "zh",
        en="Language of the text in webhooks.",
        zh="推送文本的语言。",
    )
    grafana_url: str | None = _setting(
        None,
        en="Grafana that `ihwatch boards push` writes to.",
        zh="`ihwatch boards push` 写入的 Grafana 地址。",
        check=_url("http", "https"),
    )
    grafana_token: str | None = _setting(
        None,
        en="Service account token of that Grafana.",
        zh="该 Grafana 的服务账号令牌。",
        secret=True,
    )
    log_format: Literal["json", "text"] = _setting(
        "json",
        en="One JSON object a line, or text for people.",
        zh="每行一个 JSON 对象，或供人阅读的文本。",
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read all settings, or raise SettingsError naming every fault in `environ`.

        An empty value counts as not given: compose files pass `${NAME:-}` through.
        """
        given = {k: v for k, v in environ.items() if k.startswith(PREFIX) and v.strip()}
        faults: list[str] = []
        values: dict[str, Any] = {}
        for one in _fields():
            try:
                text = _text(one, given)
                if text is not None:
                    values[one.name] = _parse(one, text)
            except ValueError as error:
                faults.append(f"{env_name(one.name)} {error}")
        faults += _unknown(given)
        if faults:
            raise SettingsError(faults)
        return cls(**values)

    def __repr__(self) -> str:
        shown = (f"{one.name}={_shown(one, getattr(self, one.name))}" for one in _fields())
        return f"Settings({', '.join(shown)})"


def env_name(field: str) -> str:
    """The environment variable of a field: `web_port` is IHWATCH_WEB_PORT."""
    return PREFIX + field.upper()


# --- reading --------------------------------------------------------------------------------------


def _fields() -> tuple["dataclasses.Field[Any]", ...]:
    return dataclasses.fields(Settings)


def _text(one: "dataclasses.Field[Any]", given: dict[str, str]) -> str | None:
    """Take the value, or for a secret what its _FILE twin names; given twice is a fault."""
    name = env_name(one.name)
    value, file = given.pop(name, None), None
    if one.metadata["secret"]:
        file = given.pop(f"{name}_FILE", None)
    if file is None:
        return value
    if value is not None:
        raise ValueError(f"and {name}_FILE are both given")
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read from its file: {type(error).__name__}") from None
    if not text:
        raise ValueError("is empty in its file")
    return text


def _parse(one: "dataclasses.Field[Any]", text: str) -> Any:
    text = text.strip()
    kind = get_type_hints(Settings)[one.name]
    value: Any = text
    if kind is bool:
        value = _boolean(text)
    elif kind in (int, float):
        value = _number(kind, text)
    elif get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError("must be " + " or ".join(get_args(kind)))
    elif get_origin(kind) is tuple:
        value = tuple(part.strip() for part in re.split(r"[;\n]", text) if part.strip())
    elif Path in (kind, *get_args(kind)):
        value = Path(text)
    if one.metadata["check"] is not None:
        one.metadata["check"](value)
    return value


def _boolean(text: str) -> bool:
    try:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
            text.lower()
        ]
    except KeyError:
        raise ValueError("must be true or false") from None


def _number(kind: type[int] | type[float], text: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ValueError(f"must be {wanted}") from None


def _unknown(left: Mapping[str, str]) -> Iterator[str]:
    """Name what is left over after every field took its own."""
    known = [env_name(one.name) for one in _fields()]
    for name in sorted(left):
        if name.startswith(_NOT_OURS):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        yield f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")


def _shown(one: "dataclasses.Field[Any]", value: Any) -> str:
    if value is None or not one.metadata["secret"]:
        return repr(value)
    return _MASK


# --- docs/settings.md -----------------------------------------------------------------------------

_PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
_HEAD = """\
# Settings 设置

Generated by `python -m schemas.settings --docs`; edit schemas/settings.py instead.
由上述命令生成；请修改 schemas/settings.py。

Every process reads them from its environment, all at once, and names every fault.
🔒 a secret: masked wherever settings are shown, and also accepted as the name of a file that holds
it in the same name with `_FILE` (`IHWATCH_WEBHOOK_SECRET_FILE`). 密钥：显示时隐去，也可用 `_FILE`
变量给出存放它的文件。

| setting 设置 | default 缺省 | meaning | 含义 |
|---|---|---|---|
"""


def render_docs() -> str:
    """The text of docs/settings.md; a test compares it with the committed file."""
    return _HEAD + "".join(_row(one) for one in _fields())


def _row(one: "dataclasses.Field[Any]") -> str:
    kind = get_type_hints(Settings)[one.name]
    choice = f" ({', '.join(get_args(kind))})" if get_origin(kind) is Literal else ""
    shown = one.default if not isinstance(one.default, bool) else str(one.default).lower()
    default = "" if one.default in (None, ()) else f"`{shown}`"
    meta = one.metadata
    name = f"`{env_name(one.name)}`" + (" 🔒" if meta["secret"] else "")
    return f"| {name} | {default}{choice} | {meta['en']} | {meta['zh']} |\n"


def _main(arguments: list[str]) -> int:
    if arguments == ["--docs"]:
        _PAGE.write_text(render_docs(), encoding="utf-8")
        return 0
    if arguments == ["--check"]:
        return 3 if _PAGE.read_text(encoding="utf-8") != render_docs() else 0
    sys.stderr.write("usage: python -m schemas.settings --docs | --check\n")
    return 2


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
