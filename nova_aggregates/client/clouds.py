"""clouds.yaml: named clouds with their log-in, as all clients of OpenStack read it.

The places, the order and the file secure.yaml are those of openstacksdk's user guide (Configuring
OpenStack SDK Applications). Vendor profiles are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nova_aggregates.client.errors import ClientError
from nova_aggregates.client.exits import Exit

SUFFIXES = (".yaml", ".yml", ".json")


def read(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings of the cloud ``name``.

    :raises ClientError: no file, no such cloud, or a file that is not what it should be.
    """
    path = _find("clouds", environment.get("OS_CLIENT_CONFIG_FILE"), environment)
    if path is None:
        raise _wrong(f"No clouds.yaml was found for the cloud {name}", "see --help for the places")
    clouds = _clouds(path)
    if name not in clouds:
        known = ", ".join(sorted(map(str, clouds))) or "none"
        raise _wrong(f"{path} has no cloud {name}", f"use one of: {known}")
    cloud: dict[str, Any] = clouds[name] or {}
    secure = _find("secure", environment.get("OS_CLIENT_SECURE_FILE"), environment)
    if secure is not None:
        cloud = _merged(cloud, _clouds(secure).get(name) or {})
    if "profile" in cloud:
        raise _wrong(f"The cloud {name} uses a vendor profile", "write its settings out")
    return cloud


def _find(stem: str, named: str | None, environment: Mapping[str, str]) -> Path | None:
    if named:
        return Path(named)
    home = Path(environment.get("HOME", "/nonexistent"))
    folders = (
        Path.cwd(),
        Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "openstack",
        Path("/etc/openstack"),
    )
    candidates: Iterator[Path] = (
        folder / f"{stem}{suffix}" for folder in folders for suffix in SUFFIXES
    )
    return next((path for path in candidates if path.is_file()), None)


def _clouds(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        clouds = (document or {}).get("clouds") or {}
        if all(isinstance(cloud, dict | None) for cloud in clouds.values()):
            return clouds
    except OSError as error:
        raise _wrong(f"{path} cannot be read", str(error.strerror)) from None
    except (ValueError, yaml.YAMLError, AttributeError):
        pass
    raise _wrong(f"{path} is no file of clouds", "it needs a map 'clouds' of maps")


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    both = {**low, **high}
    for key in low.keys() & high.keys():
        if isinstance(low[key], dict) and isinstance(high[key], dict):
            both[key] = _merged(low[key], high[key])
    return both


def _wrong(what: str, cure: str) -> ClientError:
    return ClientError(f"{what}: {cure}.", Exit.UNREACHABLE)
