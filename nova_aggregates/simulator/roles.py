"""The class role: what each role may do. It is the same on all hosts and never written to.

A permission is a role without subroles, named after its method; references are digests of the names
(ocaml/idl/ocaml_backend/gen_rbac.ml, xapi_role.ml).
"""

from __future__ import annotations

import functools
import hashlib
import uuid

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Record
from nova_aggregates.simulator.datamodel import Datamodel
from nova_aggregates.simulator.errors import handle_invalid

# From the least to the most. The most can do everything but what is root's alone.
DESCRIPTIONS = {
    "read-only": "The Read-Only role can log in with basic read-only access",
    "vm-operator": "The VM Operator role can use VMs and interact with VM consoles",
    "vm-admin": "The VM Administrator role can manage VMs and templates",
    "vm-power-admin": "The VM Power Administrator role has full access to VM and template "
    "management and can choose where to start VMs and use the dynamic memory control and VM "
    "snapshot features",
    "pool-operator": "The Pool Operator role manages host- and pool-wide resources, including "
    "setting up storage, creating resource pools and managing patches, high availability (HA) and "
    "workload balancing (WLB)",
    "pool-admin": "The Pool Administrator role has full access to all features and settings, "
    "including accessing Dom0 and managing subjects, roles and external authentication",
}
ROLES = tuple(DESCRIPTIONS)
POOL_ADMIN = "0165f154-ba3e-034e-6b27-5d271af109ba"  # a subject's default, so the same everywhere


def ref_of(name: str) -> str:
    return f"OpaqueRef:{_uuid(name)}"


def _uuid(name: str) -> str:
    if name == "pool-admin":
        return POOL_ADMIN
    return str(uuid.UUID(bytes=hashlib.md5(name.encode(), usedforsecurity=False).digest()))


def _record(name: str, description: str, subroles: list[str], *, internal: bool) -> Record:
    return {
        "uuid": _uuid(name),
        "name_label": name.lower(),
        "name_description": description,
        "subroles": subroles,
        "is_internal": internal,
    }


@functools.cache
def table(model: Datamodel) -> dict[str, Record]:
    """All roles and permissions of an API level, by reference."""
    needed = {m.name: m.role for m in model.methods.values() if m.role in ROLES}
    found = {ref_of(n): _record(n, "A basic permission", [], internal=True) for n in needed}
    for position, (role, description) in enumerate(DESCRIPTIONS.items()):
        below = ROLES[: position + 1]
        permissions = [ref_of(n) for n, least in needed.items() if least in below]
        found[ref_of(role)] = _record(role, description, permissions, internal=False)
    return found


def _get(call: Call, ref: str) -> Record:
    found = table(call.model).get(ref)
    if found is None:
        raise handle_invalid("role", ref)
    return found


def _permissions(call: Call, ref: str) -> list[str]:
    return list(_get(call, ref)["subroles"]) or [ref]


@api("role.get_permissions")
def get_permissions(call: Call, ref: str) -> list[str]:
    return _permissions(call, ref)


@api("role.get_permissions_name_label")
def get_permission_names(call: Call, ref: str) -> list[str]:
    return [table(call.model)[p]["name_label"] for p in _permissions(call, ref)]


def _holders(call: Call, permission: str) -> list[str]:
    return [ref for ref, role in table(call.model).items() if permission in role["subroles"]]


@api("role.get_by_permission")
def get_by_permission(call: Call, permission: str) -> list[str]:
    return _holders(call, permission)


@api("role.get_by_permission_name_label")
def get_by_permission_name(call: Call, label: str) -> list[str]:
    known = (ref for ref, role in table(call.model).items() if role["name_label"] == label)
    return _holders(call, next(known, ""))
