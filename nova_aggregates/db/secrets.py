"""Credentials at rest: Fernet, keys rotate."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from nova_aggregates.exceptions import ConfigurationInvalid

INIT_COMMAND = "nova-aggregates-manage credentials init"


class SecretBox:
    """Encrypts with the first key of the file and decrypts with any of them. A file that changed is
    read again, so that a rotation needs no restart.

    :raises ConfigurationInvalid: the file is missing, holds no valid key, or others may read it.
    """

    def __init__(self, key_file: str | Path) -> None:
        self._path = Path(key_file)
        self._stamp = _stamp(self._path)
        self._keys = _keys(self._path)

    @classmethod
    def create(cls, path: str | Path) -> SecretBox:
        """Write a new key file with mode 0600.

        :raises ConfigurationInvalid: the file exists, or it cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigurationInvalid(
                what=f"{path} exists already",
                cure="it is kept, because without its keys the stored passwords are lost. "
                "Name another file in [credentials] key_file, or use this one.",
            ) from None
        except OSError as error:
            raise _unwritable(path, error) from None
        with os.fdopen(descriptor, "wb") as file:
            _write(file, [Fernet.generate_key()])
        return cls(path)

    def seal(self, plain: str) -> str:
        """The token to store for ``plain``."""
        self._refresh()
        return self._keys[0].encrypt(plain.encode()).decode()

    def open(self, token: str) -> str:
        """The text that was sealed.

        :raises ConfigurationInvalid: no key of the file opens the token.
        """
        for _attempt in range(2):
            with contextlib.suppress(InvalidToken):
                return MultiFernet(self._keys).decrypt(token.encode()).decode()
            self._refresh()
        raise ConfigurationInvalid(
            what=f"A stored password cannot be decrypted with the keys in {self._path}",
            cure="put the key with which it was encrypted back into that file (old keys go "
            "below the new one), or register the host again.",
        )

    def is_new(self, token: str) -> bool:
        """Whether the first key alone opens the token."""
        try:
            self._keys[0].decrypt(token.encode())
        except InvalidToken:
            return False
        return True

    def add_key(self) -> None:
        """Put a new first key into the file; the others stay below it.

        :raises ConfigurationInvalid: the file cannot be written.
        """
        self._replace([Fernet.generate_key(), *self._path.read_bytes().split()])

    def drop_old(self) -> int:
        """Remove all keys but the first; how many.

        :raises ConfigurationInvalid: the file cannot be written.
        """
        first, *old = self._path.read_bytes().split()
        if old:
            self._replace([first])
        return len(old)

    def _replace(self, keys: list[bytes]) -> None:
        # Never half a file: a crash here must not cost the keys.
        part = self._path.with_name(f"{self._path.name}.new")
        try:
            part.unlink(missing_ok=True)
            owner = self._path.stat()
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                _write(file, keys)
            part.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._stamp = None
        self._refresh()

    def _refresh(self) -> None:
        stamp = _stamp(self._path)
        if stamp is not None and stamp != self._stamp:
            self._keys = _keys(self._path)
            self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int] | None:
    """Differs when the file was replaced; None when it is gone for the moment."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _write(file: BinaryIO, keys: list[bytes]) -> None:
    file.write(b"".join(key + b"\n" for key in keys))
    file.flush()
    os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: str | Path, error: OSError) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        what=f"{path} cannot be written ({error.strerror})",
        cure="create the directory and let this user write there.",
    )


def _keys(path: Path) -> list[Fernet]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except OSError as error:
        raise ConfigurationInvalid(
            what=f"The key file {path} cannot be read ({error.strerror})",
            cure=f"name it in [credentials] key_file, or make one: {INIT_COMMAND}",
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationInvalid(
            what=f"The key file {path} is open to other users (mode {stat.S_IMODE(mode):04o})",
            cure=f"run: chmod 600 {path}",
        )
    try:
        keys = [Fernet(line) for line in content.split()]
    except ValueError:
        keys = []
    if not keys:
        raise ConfigurationInvalid(
            what=f"The key file {path} holds no valid Fernet key",
            cure=f"restore it from a copy; for a new installation make another: {INIT_COMMAND}",
        )
    return keys
