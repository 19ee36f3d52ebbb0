"""Site files: YAML that describes a whole site. Reading names what is wrong and where."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import types
import typing
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nova_aggregates.simulator import scenario
from nova_aggregates.simulator.furnishing import BLOCKERS, LOCAL, SHARED
from nova_aggregates.simulator.levels import LEVELS
from nova_aggregates.simulator.spec import FORMAT, GuestSpec, HostSpec, PoolSpec, SiteSpec

# Large sites take a minute without libyaml, which PyYAML may have been built without.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
SIZE = re.compile(r"(\d+)\s*([KMGT]iB)?")
STATES = ("Running", "Halted", "Suspended", "Paused")
T = TypeVar("T")


class BadSite(ValueError):
    """A sentence for the user that says where in the file what is wrong."""


def load(path: Path) -> SiteSpec:
    """Raises BadSite, OSError."""
    try:
        return loads(path.read_text(encoding="utf-8"))
    except (BadSite, UnicodeDecodeError) as error:
        raise BadSite(f"{path}: {error}") from None


def loads(text: str) -> SiteSpec:
    """Raises BadSite."""
    try:
        given = yaml.load(text, Loader)  # noqa: S506 both loaders are safe ones
    except yaml.YAMLError as error:
        raise BadSite(f"no YAML: {' '.join(str(error).split())}") from None
    return from_mapping(given)


def from_mapping(given: object) -> SiteSpec:
    """Raises BadSite."""
    site = _build(SiteSpec, given, "")
    if site.version != FORMAT:
        raise BadSite(f"version: this simulator reads version {FORMAT}, not {site.version}")
    _check_names(site)
    for pool in site.pools:
        _check_pool(pool)
    for guest in site.guests:
        _check_guest(guest)
    for number, event in enumerate(site.schedule):
        try:
            scenario.parse(event)
        except scenario.BadEvent as error:
            raise BadSite(f"schedule[{number}]: {error}") from None
    return site


def dumps(site: SiteSpec) -> str:
    """What is as by default is left out."""
    found = to_mapping(site)
    text: str = yaml.dump(found, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def to_mapping(site: SiteSpec) -> dict[str, Any]:
    found: dict[str, Any] = _plain(site)
    return {"version": site.version, **found}


def size_text(size: int) -> int | str:
    """In the largest unit that it is a whole number of."""
    for unit in ("TiB", "GiB", "MiB"):
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return size


def _plain(spec: Any) -> Any:
    if dataclasses.is_dataclass(spec) and not isinstance(spec, type):
        found = {}
        for each in dataclasses.fields(spec):
            value = getattr(spec, each.name)
            if value == _default(each):
                continue
            found[each.name] = size_text(value) if each.metadata else _plain(value)
        return found
    if isinstance(spec, tuple | list):
        return [_plain(v) for v in spec]
    if isinstance(spec, dict):
        return {k: _plain(v) for k, v in spec.items()}
    return spec


def _default(each: dataclasses.Field[Any]) -> Any:
    if each.default_factory is not dataclasses.MISSING:
        return each.default_factory()
    return each.default


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(cls: type[T], given: object, where: str) -> T:
    """A dataclass from a mapping. Raises BadSite."""
    if not isinstance(given, dict):
        raise BadSite(f"{where or 'the file'}: {_article(given)}, where a mapping is wanted")
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = _hints(typing.cast("Any", cls))
    values = {}
    for key, value in given.items():
        inner = f"{where}.{key}" if where else str(key)
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {close[0]}" if close else f"known: {', '.join(known)}"
            raise BadSite(f"{inner}: unknown; {hint}")
        read = _size if known[key].metadata else functools.partial(_value, hints[key])
        values[key] = read(value, inner)
    missing = [n for n, f in known.items() if _default(f) is dataclasses.MISSING and n not in given]
    if missing:
        raise BadSite(f"{where or 'the file'}: {', '.join(missing)} missing")
    return cls(**values)


def _size(value: object, where: str) -> int:
    found = SIZE.fullmatch(str(value).strip())
    if found is None or isinstance(value, bool):
        raise BadSite(f"{where}: {value} is no size; write bytes, or such as 64GiB")
    return int(found.group(1)) * UNITS[found.group(2) or ""]


def _value(hint: Any, value: object, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type[Any]", hint), value, where)
    origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise BadSite(f"{where}: {_article(value)}, where a list is wanted")
        (item, _) = typing.get_args(hint)
        return tuple(_value(item, v, f"{where}[{n}]") for n, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise BadSite(f"{where}: {_article(value)}, where a mapping is wanted")
        return {
            str(k): _value(typing.get_args(hint)[1], v, f"{where}.{k}") for k, v in value.items()
        }
    return value if hint is Any else _scalar(hint, value, where)


def _scalar(hint: type[Any], value: object, where: str) -> Any:
    if hint is str and isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is hint:
        return value
    wanted = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    hint_of = "; put it in quotes" if hint is str and isinstance(value, bool) else ""
    raise BadSite(f"{where}: {_article(value)}, where {wanted[hint]} is wanted{hint_of}")


def _article(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing"}
    kind = type(value)
    return names.get(kind, str(value)) if not isinstance(value, types.NoneType) else "nothing"


def _check_names(site: SiteSpec) -> None:
    hosts = [h.name for h in site.hosts]
    if not hosts:
        raise BadSite("hosts: a site needs at least one")
    _unique("hosts", hosts)
    _unique("hosts", [h.uuid for h in site.hosts if h.uuid])
    _unique("guests", [g.uuid for g in site.guests if g.uuid])
    _unique("pools", [m for p in site.pools for m in {p.master, *p.hosts}])
    known = set(hosts)
    for number, host in enumerate(site.hosts):
        _check_host(host, f"hosts[{number}]")
    for number, pool in enumerate(site.pools):
        _known(f"pools[{number}].hosts", (pool.master, *pool.hosts), known)
    for number, guest in enumerate(site.guests):
        _known(f"guests[{number}].host", (guest.host,), known)


def _unique(where: str, names: list[str]) -> None:
    twice = {n for n in names if names.count(n) > 1} if len(set(names)) < len(names) else set()
    if twice:
        raise BadSite(f"{where}: {', '.join(sorted(twice))} more than once")


def _known(where: str, names: Iterable[str], hosts: Collection[str]) -> None:
    for name in names:
        if name not in hosts:
            raise BadSite(f"{where}: no host {name}")


def _check_host(host: HostSpec, where: str) -> None:
    if host.xapi not in LEVELS:
        raise BadSite(f"{where}.xapi: {host.xapi} is none of {', '.join(LEVELS)}")
    if host.memory <= host.memory_reserved:
        raise BadSite(f"{where}.memory: not more than what is reserved")
    if host.cpus < 1:
        raise BadSite(f"{where}.cpus: at least 1")


def _check_pool(pool: PoolSpec) -> None:
    if pool.hosts and pool.master not in pool.hosts:
        raise BadSite(f"pool {pool.name or pool.master}: its master is none of its hosts")
    names = {*pool.hosts, pool.master}
    for network in pool.networks:
        _known(f"network {network.name}", network.hosts, names)
    for storage in pool.storage:
        _known(f"storage {storage.name}", storage.unplugged, names)
        if storage.name in (LOCAL, SHARED):
            raise BadSite(f"storage {storage.name}: a name with a meaning of its own; take another")


def _check_guest(guest: GuestSpec) -> None:
    if guest.state not in STATES:
        raise BadSite(f"guest {guest.name}: state {guest.state} is none of {', '.join(STATES)}")
    unknown = set(guest.blockers) - set(BLOCKERS)
    if unknown:
        found = ", ".join(sorted(unknown))
        raise BadSite(f"guest {guest.name}: unknown blockers {found}; known: {', '.join(BLOCKERS)}")
