"""From error codes to exceptions and words."""

from __future__ import annotations

import collections
import string

import pytest

from nova_aggregates.xenapi import catalogue, errors
from nova_aggregates.xenapi.types import Endpoint, Trust, canonical_address

# What xapi can answer to the calls that the driver makes, or will make for maintenance.
CODES = """
HOST_IS_SLAVE SESSION_INVALID SESSION_AUTHENTICATION_FAILED SESSION_AUTHORIZATION_FAILED
RBAC_PERMISSION_DENIED HANDLE_INVALID UUID_INVALID MAP_DUPLICATE_KEY OTHER_OPERATION_IN_PROGRESS
INTERNAL_ERROR Fault TOO_MANY_PENDING_TASKS NOT_SUPPORTED_DURING_UPGRADE LICENCE_RESTRICTION
MESSAGE_METHOD_UNKNOWN MESSAGE_PARAMETER_COUNT_MISMATCH MESSAGE_REMOVED MESSAGE_DEPRECATED
HOST_STILL_BOOTING HOST_HAS_NO_MANAGEMENT_IP HOST_MASTER_CANNOT_TALK_BACK HOST_UNKNOWN_TO_MASTER
HOST_ITS_OWN_SLAVE HOST_BROKEN HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR TASK_CANCELLED
HOST_OFFLINE CANNOT_CONTACT_HOST HOST_NOT_LIVE HOST_IS_LIVE HOST_HAS_RESIDENT_VMS
HA_IS_ENABLED HA_NOT_ENABLED CLUSTERING_ENABLED
POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK
POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK OPERATION_NOT_ALLOWED
JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS JOINING_HOST_CANNOT_HAVE_RUNNING_VMS
JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY
HOSTS_NOT_COMPATIBLE HOSTS_NOT_HOMOGENEOUS JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS
POOL_JOINING_HOST_HAS_BONDS POOL_JOINING_HOST_HAS_TUNNELS POOL_JOINING_HOST_HAS_NETWORK_SRIOVS
POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH
POOL_JOINING_EXTERNAL_AUTH_MISMATCH LICENSE_HOST_POOL_MISMATCH V6D_FAILURE
POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA
POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT
POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT POOL_JOINING_SM_FEATURES_INCOMPATIBLE
POOL_JOINING_MASTER_CERTIFICATE_NOT_IN_POOL_BUNDLE POOL_JOINING_POOL_BUNDLE_EMPTY_AFTER_IMPORT
JOINING_HOST_CANNOT_HAVE_RUNNING_OR_SUSPENDED_VMS LICENSE_DOES_NOT_SUPPORT_POOLING
POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC
POOL_JOINING_HOST_MUST_ONLY_HAVE_PHYSICAL_PIFS POOL_JOINING_HOST_MUST_HAVE_SAME_PRODUCT_VERSION
JOINING_HOST_CONNECTION_FAILED JOINING_HOST_SERVICE_FAILED POOL_SECRET_ROTATION_PENDING
VDI_IN_USE SR_BACKEND_FAILURE_46 HA_ENABLE_IN_PROGRESS HA_DISABLE_IN_PROGRESS
CLUSTER_CREATE_IN_PROGRESS DESIGNATE_NEW_MASTER_IN_PROGRESS TLS_VERIFICATION_ENABLE_IN_PROGRESS
CONFIGURE_REPOSITORIES_IN_PROGRESS SYNC_UPDATES_IN_PROGRESS SYNC_BUNDLE_IN_PROGRESS
APPLY_UPDATES_IN_PROGRESS HA_ABORT_NEW_MASTER HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN
HOST_DISABLED HOST_NOT_DISABLED HOST_DISABLED_UNTIL_REBOOT HOST_DISABLED_INDEFINITELY
HOST_EVACUATE_IN_PROGRESS HOST_POWER_ON_MODE_DISABLED XENAPI_MISSING_PLUGIN XENAPI_PLUGIN_FAILURE
CLUSTERED_SR_DEGRADED CANNOT_EVACUATE_HOST NO_HOSTS_AVAILABLE HOST_NOT_ENOUGH_FREE_MEMORY
HOST_NOT_ENOUGH_PCPUS VM_REQUIRES_SR VM_REQUIRES_NETWORK HOST_CANNOT_ATTACH_NETWORK
VM_INCOMPATIBLE_WITH_THIS_HOST VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION
VM_LACKS_FEATURE VM_NON_SUSPENDABLE VM_HAS_PCI_ATTACHED VM_HAS_VGPU VM_HAS_VUSBS VM_IS_IMMOBILE
VM_HAS_SRIOV_VIF OPERATION_BLOCKED HOST_EVACUATE_VM_NOT_HA_PROTECTED VM_BAD_POWER_STATE
TOO_MANY_STORAGE_MIGRATES
"""


@pytest.mark.parametrize("code", CODES.split())
def test_every_code_has_words(code: str) -> None:
    words = catalogue.explain(code, ())
    assert words.situation is not catalogue.Situation.UNKNOWN
    for text in (words.message, words.cause, words.cure):
        assert text
        assert "{" not in text


def test_no_entry_is_hidden_by_another() -> None:
    keys = collections.Counter((entry.code, entry.pattern) for entry in catalogue.entries())
    assert [key for key, count in keys.items() if count > 1] == []


def test_messages_use_at_most_four_parameters() -> None:
    known = {"0", "1", "2", "3", "code", "params"}
    for entry in catalogue.entries():
        names = {name for _, name, _, _ in string.Formatter().parse(entry.message) if name}
        assert names <= known, entry.code


def test_braces_and_brackets_in_parameters_are_harmless() -> None:
    assert "{0} {x" in catalogue.explain("INTERNAL_ERROR", ("{0} {x",)).message


def test_unknown_code_passes_through_with_its_parameters() -> None:
    words = catalogue.explain("SOMETHING_NEW", ("a", "OpaqueRef:1"))
    assert "SOMETHING_NEW (a, OpaqueRef:1)" in words.message
    assert words.situation is catalogue.Situation.UNKNOWN
    error = errors.from_description(["SOMETHING_NEW", "a"], where="h:443", method="x.y")
    assert type(error) is errors.ApiFailure
    assert (error.code, error.params) == ("SOMETHING_NEW", ("a",))


@pytest.mark.parametrize(
    ("code", "params", "method", "words"),
    [
        ("INTERNAL_ERROR", ("Xapi_pool.Cannot_eject_master",), "pool.eject", "master of its pool"),
        (
            "INTERNAL_ERROR",
            ("Connection failed: no route to host.",),
            "pool.join",
            "cannot reach the pool's master",
        ),
        ("INTERNAL_ERROR", ("Connection failed: x",), "host.disable", "toolstack failed"),
        (
            "INTERNAL_ERROR",
            ('Stunnel.Stunnel_verify_error("certificate not found in local repository")',),
            "pool.designate_new_master",
            "certificate is missing",
        ),
        ("OPERATION_NOT_ALLOWED", ("VM resident on host",), "pool.eject", "Guests are on the host"),
        ("OPERATION_NOT_ALLOWED", ("Network backends differ",), "pool.join", "backends"),
        ("OPERATION_NOT_ALLOWED", ("whatever",), "pool.join", "whatever"),
        ("HOSTS_NOT_HOMOGENEOUS", ("CPUs differ",), "pool.join", "vendors"),
        ("HOST_IS_SLAVE", ("10.0.0.1",), "pool.join", "given as the pool's master is a member"),
        (
            "HOST_IS_SLAVE",
            ("10.0.0.1",),
            "session.login_with_password",
            "a pool whose master is at 10.0.0.1",
        ),
        (
            "SESSION_AUTHENTICATION_FAILED",
            ("root", "Authentication failure"),
            "Async.pool.join",
            "pool's master refused the login of root",
        ),
    ],
)
def test_same_code_different_meaning(
    code: str, params: tuple[str, ...], method: str, words: str
) -> None:
    assert words in catalogue.explain(code, params, method=method).message


def test_names_instead_of_references() -> None:
    names = {"OpaqueRef:1": "guest web1", "OpaqueRef:2": "host b"}
    error = errors.from_description(
        ["VM_INCOMPATIBLE_WITH_THIS_HOST", "OpaqueRef:1", "OpaqueRef:2", "CPU"],
        where="h:443",
        method="host.evacuate",
    )
    named = error.with_names(names.get)
    assert named.message == "guest web1 uses CPU features that host b lacks: CPU"
    assert named.params == error.params
    joined = catalogue.explain(
        "CANNOT_EVACUATE_HOST", ("VM_REQUIRES_SR,OpaqueRef:1,OpaqueRef:9|X",), resolver=names.get
    )
    assert "VM_REQUIRES_SR,guest web1,OpaqueRef:9|X" in joined.message


FACTS = [
    (["HOST_IS_SLAVE", "10.0.0.1"], errors.IsSlave),
    (["SESSION_AUTHENTICATION_FAILED", "root", "x"], errors.AuthenticationFailed),
    (["SESSION_INVALID", "OpaqueRef:s"], errors.SessionInvalid),
    (["HOST_STILL_BOOTING"], errors.StillBooting),
    (["HOST_UNKNOWN_TO_MASTER", "uuid"], errors.StillBooting),
    (["HANDLE_INVALID", "host", "OpaqueRef:1"], errors.ObjectGone),
    (["UUID_INVALID", "host", "x"], errors.ObjectGone),
    (["HOST_OFFLINE", "OpaqueRef:1"], errors.HostOffline),
    (["CANNOT_CONTACT_HOST", "OpaqueRef:1"], errors.HostOffline),
    (["OTHER_OPERATION_IN_PROGRESS", "pool", "OpaqueRef:1"], errors.Busy),
    (["NEW_THING_IN_PROGRESS"], errors.Busy),
    (["MESSAGE_METHOD_UNKNOWN", "a.b"], errors.MethodUnknown),
    (["HA_IS_ENABLED"], errors.PreconditionFailed),
    (["POOL_JOINING_HOST_SOMETHING_OF_OLD"], errors.PreconditionFailed),
    (["LICENSE_DOES_NOT_SUPPORT_POOLING"], errors.PreconditionFailed),
    (["INTERNAL_ERROR", "x"], errors.ApiFailure),
    ([], errors.ApiFailure),
]


@pytest.mark.parametrize(("details", "fact"), FACTS)
def test_facts(details: list[str], fact: type[errors.XenError]) -> None:
    error = errors.from_description(details, where="h:443", method="host.enable")
    assert type(error) is fact
    assert str(error).startswith("h:443: ")


@pytest.mark.parametrize("details", [details for details, _ in FACTS])
def test_a_task_never_speaks_of_the_session_that_watches_it(details: list[str]) -> None:
    """HOST_IS_SLAVE out of pool.join must not look like a redirect of the session."""
    error = errors.from_task(details, where="h:443", method="pool.join")
    assert isinstance(error, errors.ApiFailure)
    refused = details[:1] in (["HOST_IS_SLAVE"], ["SESSION_AUTHENTICATION_FAILED"])
    assert isinstance(error, errors.TargetRefused) == refused


def test_reference_of_a_session_is_a_secret() -> None:
    for details in (
        ["SESSION_INVALID", "OpaqueRef:s"],
        ["HANDLE_INVALID", "session", "OpaqueRef:s"],
    ):
        error = errors.from_description(details, where="h", method="m")
        assert "OpaqueRef:s" not in str(error) + repr(error.params)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:db8:0:0::1", "2001:db8::1"),
        ("Host1.Example.COM", "host1.example.com"),
    ],
)
def test_address(text: str, canonical: str) -> None:
    assert canonical_address(text) == canonical
    assert Endpoint(text, 443, "root", "x", Trust(insecure=True)).address == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1:443",
        "https://10.0.0.1",
        "a/b",
        "a\n",
        "-a",
        "a@b",
    ],
)
def test_address_that_would_leave_a_stale_record(text: str) -> None:
    with pytest.raises(ValueError, match="without port, scheme or blanks"):
        canonical_address(text)


def test_where() -> None:
    trust = Trust(insecure=True)
    assert Endpoint("2001:db8::1", 443, "root", "x", trust).where == "[2001:db8::1]:443"
    assert Endpoint("10.0.0.1", 8443, "root", "x", trust).where == "10.0.0.1:8443"


@pytest.mark.parametrize(
    "wrong",
    [{}, {"fingerprint": "a" * 64, "insecure": True}, {"fingerprint": "ab"}, {"fingerprint": ""}],
)
def test_trust_is_exactly_one_thing(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|64 hex digits"):
        Trust(**wrong)  # type: ignore[arg-type]
