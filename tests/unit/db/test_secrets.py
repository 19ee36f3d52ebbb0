from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import ConfigurationInvalid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "credentials.key"


def test_what_is_sealed_can_be_opened(path: Path) -> None:
    box = SecretBox.create(path)
    for plain in ("", "word", "Größe \N{GRINNING FACE}", "x" * 10000):
        token = box.seal(plain)
        assert plain == "" or plain not in token
        assert token != box.seal(plain), "equal passwords must not look equal"
        assert SecretBox(path).open(token) == plain


def test_a_new_file_is_for_the_owner_only_whatever_the_umask(path: Path) -> None:
    old = os.umask(0)
    try:
        SecretBox.create(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(ConfigurationInvalid, match="exists already"):
        SecretBox.create(path)
    assert path.read_text() == "precious"


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="cannot be written"):
        SecretBox.create(tmp_path / "missing" / "key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o602])
def test_a_file_that_others_can_use_is_refused(path: Path, mode: int) -> None:
    SecretBox.create(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationInvalid, match=f"chmod 600 {path}"):
        SecretBox(path)
    path.chmod(0o400)
    SecretBox(path)


def test_a_missing_file(path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="nova-aggregates-manage credentials init"):
        SecretBox(path)


@pytest.mark.parametrize("content", ["", "\n\n", "geheim", "geheim\n" + "A" * 44, "ÿ" * 20])
def test_a_file_without_a_key(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationInvalid, match="no valid Fernet key") as caught:
        SecretBox(path)
    assert "geheim" not in str(caught.value)


def test_the_first_key_seals_and_all_of_them_open(path: Path) -> None:
    SecretBox.create(path)
    old_key = path.read_bytes()
    old_token = SecretBox(path).seal("word")
    new_key = Fernet.generate_key() + b"\n"
    path.write_bytes(new_key + old_key)
    both = SecretBox(path)
    assert both.open(old_token) == "word"
    new_token = both.seal("word")
    path.write_bytes(new_key)
    assert SecretBox(path).open(new_token) == "word"
    with pytest.raises(ConfigurationInvalid, match="cannot be decrypted") as caught:
        SecretBox(path).open(old_token)
    assert old_token not in str(caught.value)


def test_a_new_first_key_is_seen_without_a_restart(path: Path) -> None:
    one, other = SecretBox.create(path), SecretBox(path)
    old_token = one.seal("word")
    one.add_key()
    assert not one.is_new(old_token)
    new_token = other.seal("word")
    assert one.is_new(new_token), "the other process seals with the new key at once"
    assert other.open(old_token) == "word"
    assert one.drop_old() == 1
    assert one.drop_old() == 0
    assert other.open(new_token) == "word"
    with pytest.raises(ConfigurationInvalid):
        SecretBox(path).open(old_token)


def test_the_file_stays_for_the_owner_only_and_nothing_is_left_beside_it(path: Path) -> None:
    box = SecretBox.create(path)
    path.with_name("credentials.key.new").write_text("left by a crash")
    box.add_key()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes().split()) == 2
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_away_for_the_moment_stops_nobody(path: Path) -> None:
    box = SecretBox.create(path)
    token = box.seal("word")
    path.unlink()
    assert box.open(token) == "word"
    assert box.open(box.seal("more")) == "more"


def test_a_key_file_that_cannot_be_written(path: Path) -> None:
    box = SecretBox.create(path)
    token = box.seal("word")
    path.with_name("credentials.key.new").mkdir()
    with pytest.raises(ConfigurationInvalid, match="cannot be written"):
        box.add_key()
    assert SecretBox(path).open(token) == "word"
