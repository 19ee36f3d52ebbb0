"""The class role, and what the roles of users allow."""

from __future__ import annotations

import itertools

import pytest

from nova_aggregates.simulator import roles
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.site import Account
from tests.unit.simulator.world import World, run

BOGUS = "OpaqueRef:00000000-0000-0000-0000-000000000000"
OBSERVED = "OpaqueRef:cb68795a-8d1c-f2bb-6869-4946fd2df840"  # session.get_record


def test_permissions_are_named_after_methods() -> None:
    async def scenario(world: World) -> None:
        assert await world.call(0, "role.get_record", OBSERVED) == {
            "uuid": OBSERVED[10:],
            "name_label": "session.get_record",
            "name_description": "A basic permission",
            "subroles": [],
            "is_internal": True,
        }
        assert await world.call(0, "role.get_by_name_label", "session.get_record") == [OBSERVED]
        assert await world.call(0, "role.get_by_uuid", OBSERVED[10:]) == OBSERVED
        assert len(await world.call(0, "role.get_all")) > 2000
        assert await world.failure(0, "role.get_record", BOGUS) == ["HANDLE_INVALID", "role", BOGUS]
        error = await world.failure(0, "role.get_by_uuid", BOGUS[10:])
        assert error == ["UUID_INVALID", "role", BOGUS[10:]]

    run(scenario, hosts=1)


def test_higher_roles_have_the_permissions_of_lower_ones() -> None:
    async def scenario(world: World) -> None:
        held: list[set[str]] = []
        for role in roles.ROLES:
            names = await world.call(0, "role.get_permissions_name_label", roles.ref_of(role))
            held.append(set(names))
        assert all(low < high for low, high in itertools.pairwise(held))
        joins = await world.call(0, "role.get_by_permission_name_label", "pool.join")
        assert set(joins) == {roles.ref_of("pool-operator"), roles.ref_of("pool-admin")}

    run(scenario, hosts=1)


@pytest.mark.parametrize(
    ("method", "least"),
    [
        ("host.get_all", "read-only"),
        ("pool.set_tags", "vm-operator"),
        ("network.create", "vm-admin"),
        ("pool.set_name_label", "pool-operator"),
        ("pool.enable_tls_verification", "pool-admin"),
    ],
)
def test_users_may_do_what_their_role_allows(method: str, least: str) -> None:
    async def scenario(world: World) -> None:
        pool = world.db(0).pool
        arguments = {
            "pool.set_tags": (pool, ["t"]),
            "network.create": ({"name_label": "n"},),
            "pool.set_name_label": (pool, "n"),
        }.get(method, ())
        for role in roles.ROLES:
            world.site.directory["ann"] = Account("pw", role)
            session = await world.raw(0, "session.login_with_password", "ann", "pw")
            call = world.raw(0, method, session, *arguments)
            if roles.ROLES.index(role) >= roles.ROLES.index(least):
                await call
                continue
            with pytest.raises(ApiError) as failed:
                await call
            assert failed.value.description == [
                "RBAC_PERMISSION_DENIED",
                method.lower(),
                "No permission in user session",
            ]

    run(scenario, hosts=1)
