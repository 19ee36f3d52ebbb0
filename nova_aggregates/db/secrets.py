"""Credentials at rest: Fernet, keys rotate."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from nova_aggregates.exceptions import ConfigurationInvalid

INIT_COMMAND = "nova-aggregates-manage credentials init"


class SecretBox:
    """Encrypts with the first key of the file and decrypts with any of them.

    :raises ConfigurationInvalid: the file is missing, holds no valid key, or others may read it.
    """

    def __init__(self, key_file: str | Path) -> None:
        self._path = Path(key_file)
        self._fernet = MultiFernet(_keys(self._path))

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
            raise ConfigurationInvalid(
                what=f"{path} cannot be written ({error.strerror})",
                cure="create the directory and let this user write there.",
            ) from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return cls(path)

    def seal(self, plain: str) -> str:
        """The token to store for ``plain``."""
        return self._fernet.encrypt(plain.encode()).decode()

    def open(self, token: str) -> str:
        """The text that was sealed.

        :raises ConfigurationInvalid: no key of the file opens the token.
        """
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise ConfigurationInvalid(
                what=f"A stored password cannot be decrypted with the keys in {self._path}",
                cure="put the key with which it was encrypted back into that file (old keys go "
                "below the new one), or register the host again.",
            ) from None


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
