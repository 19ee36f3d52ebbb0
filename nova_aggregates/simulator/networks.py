"""Networks, VLANs and bonds, as far as joins and migrations look at them."""

from __future__ import annotations

import itertools
from typing import Any

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.values import new_ref, new_uuid

HIGHEST_TAG = 4094
BOND_MEMBERS = 2
LONGEST_BRIDGE = 15
RESERVED_BRIDGES = ("xen", "xapi", "vif", "tap", "eth")
DEFAULT_MTU = 1500


def free_bridge(db: Database) -> str:
    """xapi0, xapi1, …: the first that no network has."""
    taken = {n["bridge"] for _, n in db.find("network")}
    return next(name for name in map("xapi{}".format, itertools.count()) if name not in taken)


@api("network.create")
def create_network(call: Call, given: dict[str, Any]) -> str:
    """Of the record's fields those count that its constructor takes (xapi_network.ml)."""
    db, fields = call.db, call.model.classes["network"].fields
    taken = ("name_label", "name_description", "MTU", "other_config", "bridge", "managed", "tags")
    decoder = call.model.decoder
    values = {n: decoder.decode(fields[n].kind, given[n]) for n in taken if n in given}
    bridge = values.get("bridge") or free_bridge(db)
    if values.get("bridge"):
        if len(bridge) > LONGEST_BRIDGE or bridge.startswith(RESERVED_BRIDGES):
            raise ApiError("INVALID_VALUE", "bridge", bridge)
        if db.first("network", bridge=bridge) is not None:
            raise ApiError("BRIDGE_NAME_EXISTS", bridge)
    mtu = values.get("MTU", DEFAULT_MTU)
    values.update(bridge=bridge, MTU=mtu if mtu > 0 else DEFAULT_MTU)
    return db.create("network", **values, default_locking_mode="unlocked")


@api("network.destroy")
def destroy_network(call: Call, network: str) -> None:
    db = call.db
    record = db.get("network", network)
    cards = {ref: db.get("VIF", ref) for ref in record["VIFs"]}
    connected = [r for r, v in cards.items() if v["currently_attached"]]
    if connected:
        raise ApiError("NETWORK_CONTAINS_VIF", *connected)
    if record["PIFs"]:
        raise ApiError("NETWORK_CONTAINS_PIF", *record["PIFs"])
    if record["other_config"].get("is_host_internal_management_network") == "true":
        raise ApiError("CANNOT_DESTROY_SYSTEM_NETWORK", network)
    for ref in cards:
        db.delete("VIF", ref)
    db.delete("network", network)


@api("VLAN.create")
def create_vlan(call: Call, tagged: str, tag: int, network: str) -> str:
    """Where the site's network script fails, the VLAN stays behind all the same (observed)."""
    db = call.db
    pif = db.get("PIF", tagged)
    db.get("network", network)
    host = pif["host"]
    for ref in db.get("network", network)["PIFs"]:
        if db.get("PIF", ref)["host"] == host:
            raise ApiError("NETWORK_ALREADY_CONNECTED", host, ref)
    if not 0 <= tag <= HIGHEST_TAG:
        raise ApiError("VLAN_TAG_INVALID", str(tag))
    for _, other in db.find("PIF", device=pif["device"], host=host, VLAN=tag):
        raise ApiError("PIF_VLAN_EXISTS", other["uuid"])
    vlan, untagged = new_ref(), new_ref()
    db.create(
        "PIF",
        untagged,
        device=pif["device"],
        network=network,
        host=host,
        MAC=pif["MAC"],
        MTU=pif["MTU"],
        VLAN=tag,
        VLAN_master_of=vlan,
        physical=False,
        currently_attached=call.machine.profile.vlan_script_works,
        ip_configuration_mode="None",
        managed=True,
        uuid=new_uuid(),
    )
    db.create("VLAN", vlan, tagged_PIF=tagged, untagged_PIF=untagged, tag=tag)
    if not call.machine.profile.vlan_script_works:
        device = pif["device"]
        args = f"link add link {device} name {device}.{tag} type vlan id {tag}"
        raise ApiError(
            "PIF_CONFIGURATION_ERROR",
            untagged,
            f"script error [script = /sbin/ip, args = {args}, code = Exit code 2, stdout = , "
            "stderr = Error: Unknown device type.\n]",
        )
    return vlan


@api("VLAN.destroy")
def destroy_vlan(call: Call, vlan: str) -> None:
    record = call.db.get("VLAN", vlan)
    call.db.delete("VLAN", vlan)
    if call.db.peek("PIF", record["untagged_PIF"]):
        call.db.delete("PIF", record["untagged_PIF"])


@api("Bond.create")
def create_bond(
    call: Call, network: str, members: list[str], mac: str, mode: str, properties: dict[str, str]
) -> str:
    db = call.db
    db.get("network", network)
    if len(members) < BOND_MEMBERS:
        raise ApiError("PIF_BOND_NEEDS_MORE_MEMBERS")
    records = [db.get("PIF", m) for m in members]
    if len({r["host"] for r in records}) > 1:
        raise ApiError("PIF_BOND_CANNOT_CROSS_HOSTS")
    for ref, record in zip(members, records, strict=True):
        if record["bond_slave_of"] != NULL_REF:
            raise ApiError("PIF_ALREADY_BONDED", ref)
    bond = new_ref()
    master = db.create(
        "PIF",
        device=f"bond{len(db.tables['Bond'])}",
        network=network,
        host=records[0]["host"],
        MAC=mac or records[0]["MAC"],
        MTU=1500,
        VLAN=-1,
        physical=False,
        currently_attached=True,
        management=any(r["management"] for r in records),
        managed=True,
        ip_configuration_mode="None",
    )
    db.create("Bond", bond, master=master, mode=mode, properties=properties)
    for ref in members:
        db.set("PIF", ref, bond_slave_of=bond)
    return bond


@api("Bond.destroy")
def destroy_bond(call: Call, bond: str) -> None:
    record = call.db.get("Bond", bond)
    for ref in list(record["slaves"]):
        call.db.set("PIF", ref, bond_slave_of=NULL_REF)
    call.db.delete("Bond", bond)
    call.db.delete("PIF", record["master"])


@api("tunnel.create")
def create_tunnel(call: Call, transport: str, network: str, protocol: str) -> str:
    """Only with Open vSwitch."""
    db = call.db
    pif = db.get("PIF", transport)
    backend = db.get("host", pif["host"])["software_version"].get("network_backend")
    if backend != "openvswitch":
        raise ApiError("OPENVSWITCH_NOT_ACTIVE")
    access = db.create(
        "PIF", device="tunnel0", network=network, host=pif["host"], VLAN=-1, physical=False
    )
    return db.create("tunnel", access_PIF=access, transport_PIF=transport, protocol=protocol)


@api("network.set_default_locking_mode", "network.set_bridge")
def set_network_field(call: Call, network: str, value: object) -> None:
    call.db.set("network", network, **{call.method.verb[4:]: value})


@api("PIF.scan", "host.management_reconfigure", "PIF.plug")
def nothing_to_do(call: Call, ref: str) -> None:
    """The simulated interfaces are always found and plugged."""
    del call, ref
