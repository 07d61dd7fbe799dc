"""The directory file is read whole or refused with every fault, and never shows a secret."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from schemas.directory import Directory, Institution, Key
from schemas.errors import DirectoryError

SECRET = base64.b64encode(b"a secret of 24 bytes....").decode()
GOOD = f"""
[[institution]]
id = "A"
name = "甲医院"
rulebook = "guangxi"
keys = [{{ id = "a1", secret = "{SECRET}" }}, {{ id = "a2", secret_file = "a2.key" }}]

[[institution]]
id = "B"
name = "乙医院"
rulebook = "national"
keys = []

[supervisor]
keys = [{{ id = "s1", secret = "{SECRET}" }}]
"""


def written(folder: Path, text: str) -> Path:
    (folder / "a2.key").write_text(SECRET + "\n", encoding="ascii")
    path = folder / "institutions.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    directory = Directory.load(written(tmp_path, GOOD))
    assert directory.rulebook("A") == "guangxi"
    assert directory.rulebook("C") is None
    old, new, supervisor = (directory.key(id_) for id_ in ("a1", "a2", "s1"))
    assert old is not None
    assert new is not None
    assert supervisor is not None
    assert old.secret == new.secret == b"a secret of 24 bytes...."
    assert (old.institution_id, supervisor.institution_id) == ("A", None)
    assert directory.key("a3") is None


def test_what_is_generated_can_be_written_and_read(tmp_path: Path) -> None:
    made = Directory.generate([("A", '甲"医院"\\\n', "guangxi"), ("B", "乙", "yinchuan")])
    path = tmp_path / "institutions.toml"
    made.write(path)
    made.write(path)
    read = Directory.load(path)
    assert read.institutions == made.institutions
    assert read.supervisor == made.supervisor
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["institutions.toml"]


def test_generated_secrets_differ() -> None:
    secrets = {
        key.secret
        for _ in range(3)
        for made in [Directory.generate([("A", "甲", "guangxi"), ("B", "乙", "guangxi")])]
        for key in (*(k for i in made.institutions.values() for k in i.keys), *made.supervisor)
    }
    assert len(secrets) == 9
    assert all(len(secret) >= 32 for secret in secrets)


def test_secrets_are_in_no_representation() -> None:
    key = Key("k", "A", b"very secret bytes")
    shown = repr(key) + repr(Institution("A", "甲", "guangxi", (key,)))
    shown += repr(Directory([Institution("A", "甲", "guangxi", (key,))], [key])) + str([key])
    assert "very secret" not in shown


def test_every_fault_is_said_at_once_and_no_secret_with_it(tmp_path: Path) -> None:
    short = base64.b64encode(b"short").decode()
    text = f"""
    colour = "red"
    [[institution]]
    id = "A"
    name = ""
    rulebok = "guangxi"
    keys = [{{ id = "k", secret = "{short}" }}, {{ id = "k", secret = "not base64!" }}]
    [[institution]]
    id = "A"
    name = "甲"
    rulebook = "guangxi"
    keys = [{{ id = "n" }}, {{ id = "m", secret_file = "missing" }}, {{ secret = "{SECRET}" }}]
    [supervisor]
    keys = 5
    """
    with pytest.raises(DirectoryError) as caught:
        Directory.load(written(tmp_path, text))
    said = str(caught.value)
    for part in (
        "the file: unknown name colour",
        "institution 1: name must be",
        "institution 1: unknown name rulebok",
        "institution 1: rulebook must be",
        "institution 1 key 1: the secret has less than 16 bytes",
        "institution 1 key 2: the secret is not base64",
        "key k is there twice",
        "institution A is there twice",
        "institution 2 key 1: give either secret or secret_file",
        "institution 2 key 2: secret_file cannot be read",
        "institution 2 key 3: id must be",
        "supervisor keys must be a list of tables",
    ):
        assert part in said
    for secret in (SECRET, short, "not base64!"):
        assert secret not in said


@pytest.mark.parametrize(
    "text", ["[", "institution = 5", "[[institution]]\nkeys = [1]", "supervisor = 1"]
)
def test_files_of_another_shape_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DirectoryError):
        Directory.load(written(tmp_path, text))


def test_a_missing_file_is_a_directory_error(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="nowhere"):
        Directory.load(tmp_path / "nowhere.toml")
