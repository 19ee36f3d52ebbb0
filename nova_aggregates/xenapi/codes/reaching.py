"""Reaching a host: network, certificate, login, identity. Codes that xapi lacks are ours."""

from nova_aggregates.xenapi.codes.entry import Entry, Situation

_WAIT = "Wait: the service tries again by itself as long as the operation's deadline allows."

ENTRIES = (
    Entry(
        "UNREACHABLE",
        Situation.REACH,
        "No connection to {0}: {1}",
        "The host is off or restarting, the address or port is wrong, or a firewall is between.",
        "Check that the host is up and that the manager can open this address and port.",
        retry_helps=True,
    ),
    Entry(
        "TIMED_OUT",
        Situation.REACH,
        "{0} was not answered within {1} seconds",
        "The host is frozen or overloaded, or it waits for another member that is dead.",
        "Look at the host; raise [xenapi]call_timeout if it is merely slow.",
        retry_helps=True,
    ),
    Entry(
        "CONNECTION_LOST",
        Situation.REACH,
        "The connection broke while {0} was being answered: {1}",
        "The toolstack restarts, or the network failed.",
        _WAIT,
        retry_helps=True,
    ),
    Entry(
        "MALFORMED_ANSWER",
        Situation.REACH,
        "The answer to {0} is not XenAPI: {1}",
        "Something else than a toolstack listens there, or a proxy answers in its place.",
        "Check the address and the port of the host; it should be the toolstack's own HTTPS port.",
        retry_helps=True,
    ),
    Entry(
        "OUTCOME_UNKNOWN",
        Situation.OUTCOME,
        "Nobody knows whether {0} was carried out: {1}",
        "The connection broke, or the toolstack restarted, between the request and its answer.",
        "The service looks at the pool itself to find out; do not repeat the call by hand.",
    ),
    Entry(
        "CERTIFICATE_REFUSED",
        Situation.CREDENTIALS,
        "The certificate is not the trusted one: expected SHA-256 {0}, got {1}",
        "The host was reinstalled, its certificate was renewed, or another machine answers.",
        "Compare with the host's own certificate (xe host-get-server-certificate). If the change "
        "is legitimate, register the host again with the new fingerprint.",
    ),
    Entry(
        "CERTIFICATE_NOT_TRUSTED",
        Situation.CREDENTIALS,
        "The certificate is not trusted: {0}",
        "It was not issued by the given authority, has run out, or does not name this address.",
        "Install a certificate of this authority that names the address, or register the host "
        "with the fingerprint of its certificate instead.",
    ),
    Entry(
        "IDENTITY_MISMATCH",
        Situation.IDENTITY,
        "{0} is not the one that was meant: expected {1}, found {2}",
        "The address now belongs to another host, or the host left this pool by other means.",
        "Compare the addresses and uuids of the registered hosts with the real ones.",
    ),
    Entry(
        "NO_MASTER_FOUND",
        Situation.REACH,
        "No master of the pool could be reached: {0}",
        "The master is down or restarting, or the role has moved to a host that is not known.",
        "Check the members one by one; the reason stands behind each.",
        retry_helps=True,
    ),
    Entry(
        "HOST_IS_SLAVE",
        Situation.IDENTITY,
        "The host is a member of a pool whose master is at {0}",
        "Only the master of a pool accepts logins.",
        "Ask that master. If it should not be in that pool, remove the host from it first.",
    ),
    Entry(
        "SESSION_AUTHENTICATION_FAILED",
        Situation.CREDENTIALS,
        "The login of {0} was refused: {1}",
        "The password or the user name is wrong. After a join a host has its pool's password, and "
        "keeps it when it leaves.",
        "Correct the credentials of the host. The service never changes a password.",
    ),
    Entry(
        "SESSION_AUTHORIZATION_FAILED",
        Situation.CREDENTIALS,
        "The login of {0} is not allowed: {1}",
        "The directory account has no role in this pool.",
        "Give the account the role pool-operator, or use root.",
    ),
    Entry(
        "RBAC_PERMISSION_DENIED",
        Situation.CREDENTIALS,
        "The account lacks the permission {0}",
        "Joining, leaving and maintenance need pool-operator; some calls need pool-admin.",
        "Give the account the role pool-admin, or use root.",
    ),
    Entry(
        "SESSION_INVALID",
        Situation.CREDENTIALS,
        "The session has ended",
        "The toolstack of the master restarted, which forgets all sessions and tasks.",
        _WAIT,
        retry_helps=True,
    ),
    Entry(
        "HOST_STILL_BOOTING",
        Situation.STARTING,
        "The host is still starting",
        "Its toolstack waits for the management interface or for the pool's master.",
        _WAIT,
        retry_helps=True,
    ),
    Entry(
        "HOST_HAS_NO_MANAGEMENT_IP",
        Situation.STARTING,
        "The host has no management address yet",
        "The management interface is coming up, or DHCP does not answer.",
        "Wait; if it stays so, check the management network of the host.",
        retry_helps=True,
    ),
    Entry(
        "HOST_MASTER_CANNOT_TALK_BACK",
        Situation.STARTING,
        "The master cannot open a connection to the host at {0}",
        "A firewall or a wrong route between the management addresses of the two.",
        "Make the member's port 443 reachable from the master.",
        retry_helps=True,
    ),
    Entry(
        "HOST_UNKNOWN_TO_MASTER",
        Situation.STARTING,
        "The master does not know the host {0}",
        "Its record was removed from the pool, or the secrets of the two differ.",
        "On the host: make it a pool of its own (xe pool-emergency-transition-to-master) or "
        "install it afresh, then add it again.",
    ),
    Entry(
        "HOST_ITS_OWN_SLAVE",
        Situation.STARTING,
        "The host is configured as a member of itself",
        "The master's address in its configuration is its own.",
        "On the host: xe pool-emergency-transition-to-master.",
    ),
    Entry(
        "HOST_BROKEN",
        Situation.STARTING,
        "The host's role is broken by a change of master that failed half-way",
        "The second phase of the change did not reach it.",
        "On the host: xe pool-emergency-reset-master with the address of the present master.",
    ),
    Entry(
        "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR",
        Situation.STARTING,
        "The host's toolstack ({0}) is newer than that of its master",
        "The member was upgraded before its master.",
        "Upgrade the master first.",
    ),
)
