"""Packaging of nova-aggregates.

``migrate_repo/`` stands at the top of the tree but is installed inside the package, so that
``nova-aggregates-manage db sync`` works from a wheel; ``etc/nova-aggregates/`` is installed below
the prefix.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
ETC = HERE / "etc" / "nova-aggregates"

REQUIRES = [
    "WebOb>=1.8.9,<2",
    "Routes>=2.5.1,<3",
    "PasteDeploy>=3.1,<4",
    "eventlet>=0.39,<0.42",
    "greenlet>=3.1,<4",
    # sqlalchemy-migrate 0.13 does not load under SQLAlchemy 2 and imports pkg_resources.
    "SQLAlchemy>=1.4.54,<2",
    "sqlalchemy-migrate>=0.13,<0.14",
    "setuptools>=70,<81",
    # TaskFlow's SQL persistence migrates its own tables with alembic.
    "alembic>=1.13,<2",
    "taskflow>=6,<7",
    "tooz>=9,<10",
    "XenAPI>=25.6,<27",
    "oslo.config>=10,<11",
    "oslo.context>=6,<7",
    "oslo.log>=8,<9",
    "oslo.middleware>=8,<9",
    "oslo.policy>=6,<7",
    "oslo.service>=4.4,<5",
    "keystoneauth1>=5.10,<6",
    "keystonemiddleware>=13,<14",
    "jsonschema>=4.20,<5",
    "lxml>=5.3,<7",
    "microversion-parse>=2,<3",
    "cryptography>=44,<51",
    "PyYAML>=6.0.2,<7",
    "requests>=2.32,<3",
    "prometheus-client>=0.22,<1",
    "cliff>=4.9,<5",
    "rich>=14,<16",
]

EXTRAS = {
    "postgresql": ["psycopg2-binary>=2.9.10,<3"],
    "mysql": ["PyMySQL>=1.1.1,<2"],
    "etcd": ["etcd3gw>=2.4,<3"],
    "redis": ["redis>=5,<9"],
    "test": [
        "Sphinx>=8,<10",
        "schemathesis>=4,<5",
        "pytest>=8.3,<10",
        "pytest-timeout>=2.3,<3",
        "pytest-xdist>=3.6,<4",
        "hypothesis>=6.120,<7",
        "gabbi>=4,<5",
        "gunicorn>=23,<28",
        "pyuwsgi>=2.0.28,<2.1",
        "ruff==0.17.5",
        "mypy==2.4.1",
        "import-linter>=2.3,<3",
        "types-PyYAML",
        "types-jsonschema",
        "types-requests",
        "lxml-stubs",
    ],
}

# The commands of the client: the word, and the class of nova_aggregates.client.commands.
COMMANDS = [
    f"{name} = nova_aggregates.client.commands.{target}"
    for name, target in {
        "aggregate-list": "aggregates:AggregateList",
        "aggregate-create": "aggregates:AggregateCreate",
        "aggregate-delete": "aggregates:AggregateDelete",
        "aggregate-details": "aggregates:AggregateDetails",
        "aggregate-add-host": "aggregates:AggregateAddHost",
        "aggregate-remove-host": "aggregates:AggregateRemoveHost",
        "aggregate-set-metadata": "aggregates:AggregateSetMetadata",
        "aggregate-update": "aggregates:AggregateUpdate",
        "host-list": "hosts:HostList",
        "host-show": "hosts:HostShow",
        "host-register": "hosts:HostRegister",
        "host-delete": "hosts:HostDelete",
        "host-update": "maintenance:HostUpdate",
        "host-action": "maintenance:HostAction",
        "plan": "maintenance:Plan",
        "rolling-update": "rolling:RollingUpdate",
        "preflight": "looks:Preflight",
        "drift": "looks:Drift",
        "operation-list": "operations:OperationList",
        "operation-show": "operations:OperationShow",
        "operation-watch": "operations:OperationWatch",
        "operation-cancel": "operations:OperationCancel",
        "operation-retry": "operations:OperationRetry",
        "operation-abandon": "operations:OperationAbandon",
        "operation-pause": "operations:OperationPause",
        "operation-resume": "operations:OperationResume",
        "operation-abort": "operations:OperationAbort",
        "operation-start": "operations:OperationStart",
    }.items()
]

setup(
    name="nova-aggregates",
    version="1.0.0",
    description="Host aggregates as a service: Nova-style aggregates that are XenServer pools",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=[
        *find_packages(include=["nova_aggregates", "nova_aggregates.*"]),
        "nova_aggregates.migrate_repo",
        "nova_aggregates.migrate_repo.versions",
    ],
    package_dir={"nova_aggregates.migrate_repo": "migrate_repo"},
    package_data={
        "nova_aggregates": ["py.typed"],
        "nova_aggregates.migrate_repo": ["migrate.cfg"],
        "nova_aggregates.simulator": ["data/*.json"],
    },
    data_files=[
        (
            str(folder.relative_to(HERE)),
            sorted(str(path.relative_to(HERE)) for path in folder.iterdir() if path.is_file()),
        )
        for folder in (ETC, ETC / "systemd", ETC / "examples")
    ],
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "nova-aggregates = nova_aggregates.client.main:main",
            "nova-aggregates-api = nova_aggregates.cmd.api:main",
            "nova-aggregates-manager = nova_aggregates.cmd.manager:main",
            "nova-aggregates-all = nova_aggregates.cmd.all:main",
            "nova-aggregates-manage = nova_aggregates.cmd.manage:main",
            "nova-aggregates-simulator = nova_aggregates.simulator.main:main",
        ],
        "nova_aggregates.client": COMMANDS,
        "paste.app_factory": [
            "compute = nova_aggregates.api.wsgi:app_factory",
            "versions = nova_aggregates.api.wsgi:versions_factory",
            "health = nova_aggregates.api.health:app_factory",
            "metrics = nova_aggregates.api.metrics:app_factory",
        ],
        "paste.filter_factory": [
            "overlay = nova_aggregates.api.overlay:filter_factory",
            "proxy = nova_aggregates.api.middleware.proxy:filter_factory",
            "request_id = nova_aggregates.api.middleware.request_id:filter_factory",
            "cors = nova_aggregates.api.middleware.cors:filter_factory",
            "faults = nova_aggregates.api.middleware.faults:filter_factory",
            "microversion = nova_aggregates.api.middleware.microversion:filter_factory",
            "timing = nova_aggregates.api.middleware.timing:filter_factory",
            "rate_limit = nova_aggregates.api.middleware.rate_limit:filter_factory",
            "sizelimit = nova_aggregates.api.middleware.sizelimit:filter_factory",
            "noauth = nova_aggregates.api.middleware.noauth:filter_factory",
            "http_basic_context = nova_aggregates.api.middleware.context:basic_factory",
            "authtoken = nova_aggregates.api.middleware.context:authtoken_factory",
            "keystone_context = nova_aggregates.api.middleware.context:keystone_factory",
        ],
        "paste.composite_factory": [
            "pipelines = nova_aggregates.api.wsgi:pipeline_factory",
            "prefixes = nova_aggregates.api.wsgi:prefix_factory",
        ],
        "oslo.config.opts": ["nova_aggregates = nova_aggregates.conf:list_opts"],
        "oslo.policy.policies": ["nova_aggregates = nova_aggregates.api.policies:list_rules"],
        "oslo.policy.enforcer": ["nova_aggregates = nova_aggregates.api.policies:get_enforcer"],
    },
)
