"""Findings of the driver as findings of the service."""

from __future__ import annotations

from nova_aggregates.objects import Finding, Severity
from nova_aggregates.xenapi import types as xen


def finding_of(found: xen.Finding) -> Finding:
    return Finding(
        check=found.check,
        code=found.code,
        severity=Severity(found.severity.value),
        message=found.message,
        cure=found.cure,
        ours=found.ours,
        theirs=found.theirs,
    )
