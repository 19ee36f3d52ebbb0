"""The files in etc/ that operators copy."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from keystonemiddleware.auth_token import _opts as authtoken
from oslo_config import cfg
from oslo_log import log
from oslo_middleware import http_proxy_to_wsgi

from nova_aggregates import conf as options
from nova_aggregates import metrics
from nova_aggregates.api.metrics import GAUGES

ETC = Path(__file__).parents[3] / "etc" / "nova-aggregates"
UNITS = sorted((ETC / "systemd").glob("*.service"))


@pytest.mark.parametrize("name", ["one-machine.conf", "ha.conf"])
def test_every_option_of_an_example_exists(name: str) -> None:
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    options.register(conf)
    conf.register_opts(http_proxy_to_wsgi.OPTS, "oslo_middleware")
    for group, known in authtoken.list_opts():
        conf.register_opts(known, group)
    conf([], default_config_files=[str(ETC / "examples" / name)])
    parser = configparser.ConfigParser(interpolation=None, default_section="no such")
    parser.read(ETC / "examples" / name)
    plugin = {"auth_url", "username", "password", "user_domain_name"}
    plugin |= {"project_name", "project_domain_name"}
    for section in parser.sections():
        group = conf if section == "DEFAULT" else conf[section]
        for option in parser[section]:
            if section != "keystone_authtoken" or option not in plugin:
                getattr(group, option)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_start_our_scripts_hardened(unit: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(unit)
    service = parser["Service"]
    assert service["ExecStart"].split()[0] == f"/usr/bin/{unit.stem}"
    wanted = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "User": "nova-aggregates"}
    assert {key: service[key] for key in wanted} == wanted
    assert service["CapabilityBoundingSet"] == ""


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_the_units(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text().replace(f"/usr/bin/{unit.stem}", "/bin/true")
    copy = tmp_path / unit.name
    copy.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert unit.name not in done.stderr, done.stderr


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    timed = (
        metrics.REQUESTS,
        metrics.OPERATIONS,
        metrics.OPERATION_WAITS,
        metrics.XENAPI_CALLS,
        metrics.LOCK_WAITS,
    )
    names = {f"{each._name}_{part}" for each in timed for part in ("bucket", "count", "sum")}
    names |= {f"{metrics.RATE_LIMITED._name}_total", "nova_aggregates_database_up"}
    names |= {f"nova_aggregates_{name}" for name, _, _ in GAUGES}
    dashboard = json.loads((ETC / "grafana-dashboard.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"nova_aggregates_\w+", target["expr"])
    }
    assert asked <= names
    # Each of them is shown somewhere.
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in names} == {
        re.sub("_(bucket|count|sum)$", "", name) for name in asked
    }
