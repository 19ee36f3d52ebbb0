"""Facts that stop a request, named after the fact. They know nothing of HTTP: the table in
``nova_aggregates.api.faults`` gives each its status."""

from __future__ import annotations

from typing import Any


class NovaAggregatesError(Exception):
    """Base of all; ``template`` is filled with the keyword arguments, which stay readable."""

    template = "Something went wrong."

    def __init__(self, **values: Any) -> None:
        self.values = values
        super().__init__(self.template.format(**values))


class AggregateNotFound(NovaAggregatesError):
    template = "Aggregate {aggregate_id} could not be found."


class AggregateChanged(NovaAggregatesError):
    template = "Aggregate {aggregate_id} has changed since it was read. Read it again."


class AggregateNameTaken(NovaAggregatesError):
    template = "An aggregate with the name {name} exists already."


class AggregateNotEmpty(NovaAggregatesError):
    template = (
        "Aggregate {aggregate_id} still has hosts ({hosts}). Remove them first with the action "
        "remove_host."
    )


class AggregateKindFixed(NovaAggregatesError):
    template = (
        "Aggregate {aggregate_id} has hosts or unfinished operations, so the metadata key "
        "hypervisor_pool cannot change now. Remove its hosts first."
    )


class ZoneUnknown(NovaAggregatesError):
    template = (
        "No host is in the availability zone {zone}. Register a host with this zone first, or use "
        "one of: {known}."
    )


class ZoneChangeRefused(NovaAggregatesError):
    template = (
        "Aggregate {aggregate_id} cannot move to the zone {zone}: its hosts are in other zones "
        "({hosts})."
    )


class ZoneRequired(NovaAggregatesError):
    template = (
        "Aggregate {aggregate_id} cannot be left without an availability zone: an empty name is "
        "none."
    )


class HostNotFound(NovaAggregatesError):
    template = "Host {host} could not be found. Hosts are registered with POST /os-hosts."


class HostExists(NovaAggregatesError):
    template = "A host with the {what} {value} is registered already: {host}."


class HostInUse(NovaAggregatesError):
    template = "Host {host} is in aggregate {aggregate}. Remove it from there first."


class HostBusy(NovaAggregatesError):
    template = "Host {host} has an unfinished operation ({operation}). Wait until it has ended."


class HostInThisAggregate(NovaAggregatesError):
    template = "Host {host} is in aggregate {aggregate_id} already."


class HostInAnotherAggregate(NovaAggregatesError):
    template = "Host {host} is in another aggregate already: {aggregate} (id {other_id})."


class HostNotInAggregate(NovaAggregatesError):
    template = "Host {host} is not in aggregate {aggregate_id}."


class HostZoneMismatch(NovaAggregatesError):
    template = (
        "Host {host} is in the zone {host_zone}; aggregate {aggregate_id} is in the zone {zone}."
    )


class ServiceNotFound(NovaAggregatesError):
    template = "Service {service} could not be found."


class HypervisorNotFound(NovaAggregatesError):
    template = "Hypervisor {hypervisor} could not be found."


class HypervisorNoMatch(NovaAggregatesError):
    template = "No hypervisor matching '{pattern}' could be found."


class MarkerNotFound(NovaAggregatesError):
    template = "The marker {marker} could not be found."


class HostDown(NovaAggregatesError):
    template = "Host {host} is down: {reason}"


class AddressForbidden(NovaAggregatesError):
    template = (
        "The service may not connect to {host} ({address}). Ask the operator to add its network to "
        "{option}."
    )


class OperationNotFound(NovaAggregatesError):
    template = "Operation {uuid} could not be found."


class OperationCannotBeCancelled(NovaAggregatesError):
    template = "Operation {uuid} cannot be cancelled: {reason}"


class OperationCannotBeRetried(NovaAggregatesError):
    template = "Operation {uuid} cannot be retried: {reason}"


class OperationCannotBeAbandoned(NovaAggregatesError):
    template = (
        "Operation {uuid} cannot be abandoned, because it is {state}. Only an operation that ended "
        "as error can."
    )


class HoldingsNotEmpty(NovaAggregatesError):
    template = (
        "Host {host} would lose what is on it: {lost}. Move it away first, or repeat the request "
        'with "confirm": "{digest}".'
    )


class HostInNoPool(NovaAggregatesError):
    template = (
        "Host {host} is in no pool, so there is nothing to do for it there. Add it to an aggregate "
        "first."
    )


class HostNotInMaintenance(NovaAggregatesError):
    template = "Host {host} is not in maintenance, and guests may be on it: {reason}."


class HostGoalContradictory(NovaAggregatesError):
    template = "Host {host} cannot be both: {reason}."


class AggregateHasNoPool(NovaAggregatesError):
    template = "Aggregate {aggregate_id} has no pool: it is a plain label, or it has no host."


class OperationCannotBeSteered(NovaAggregatesError):
    template = "Operation {uuid} cannot be {verb}: {reason}."


class OperationCannotBeStarted(NovaAggregatesError):
    template = "Operation {uuid} cannot be started: {reason}."


class MasterUnfit(NovaAggregatesError):
    template = "Host {host} cannot become the master: {reason}."


class AggregateBusy(NovaAggregatesError):
    template = "Aggregate {aggregate_id} has unfinished operations. Wait until they have ended."


class IdempotencyKeyReused(NovaAggregatesError):
    template = (
        "The Idempotency-Key {key} was used for another request body. Use a new key for a new "
        "request."
    )


class OperationLost(NovaAggregatesError):
    """Another manager has taken the operation over: the writer must stop at once."""

    template = "Operation {uuid} now belongs to another manager (fencing number {fence} is old)."


class LockLost(OperationLost):
    """The lock service may have given the lock to somebody else: as if that one had begun."""

    template = "The lock {name} is no longer held."


class IllegalMove(NovaAggregatesError):
    """A state change that the table of legal moves does not have; always a defect of ours."""

    template = "A move from {old} to {new} is not legal for {what}."


class DatabaseUnavailable(NovaAggregatesError):
    template = "The database does not answer: {reason}. Try again in {retry_after} seconds."


class SchemaMismatch(NovaAggregatesError):
    template = (
        "The database schema is at version {actual}, this release needs {needed}. Run: {command}"
    )


class LockServiceUnavailable(NovaAggregatesError):
    template = "The lock service of [coordination] backend_url does not answer: {reason}."


class ConfigurationInvalid(NovaAggregatesError):
    template = "{what}: {cure}"
