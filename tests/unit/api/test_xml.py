"""XML: what is written, what is read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nova_aggregates.api import xml
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import LEGACY
from nova_aggregates.api.schemas import EXCHANGES, aggregates, hosts, maintenance, operations
from nova_aggregates.api.schemas.faults import FAULT
from nova_aggregates.api.text import is_name
from nova_aggregates.api.validation import Validator

AGGREGATE = {
    "id": 1,
    "name": "a & b",
    "availability_zone": None,
    "operational_state": "created",
    "hosts": ["h1", "h2"],
    "metadata": {"ssd": "true", "a b": "<", "meta": "m", "xml": "x", "1": "", "é": "é"},
    "created_at": "2012-10-01T18:50:35.506667",
    "updated_at": None,
    "deleted": False,
    "deleted_at": None,
}
WRITTEN = (
    "<aggregate><id>1</id><name>a &amp; b</name><availability_zone>None</availability_zone>"
    "<operational_state>created</operational_state>"
    "<hosts><host>h1</host><host>h2</host></hosts>"
    '<metadata><ssd>true</ssd><meta key="a b">&lt;</meta><meta key="meta">m</meta>'
    '<meta key="xml">x</meta><meta key="1"></meta><meta key="é">é</meta></metadata>'
    "<created_at>2012-10-01 18:50:35.506667</created_at><updated_at>None</updated_at>"
    "<deleted>False</deleted><deleted_at>None</deleted_at></aggregate>"
)
HEAD = "<?xml version='1.0' encoding='UTF-8'?>\n"


def written(document: Any, exchange: str, status: int = 200) -> str:
    text = xml.write(document, EXCHANGES[exchange].answer(status, LEGACY)).decode()
    assert text.startswith(HEAD)
    return text.removeprefix(HEAD)


def test_aggregates() -> None:
    assert written({"aggregate": AGGREGATE}, "GET /os-aggregates/{id}") == WRITTEN
    assert written({"aggregate": AGGREGATE}, "POST /os-aggregates/{id}/action") == WRITTEN
    both = written({"aggregates": [AGGREGATE] * 2}, "GET /os-aggregates")
    assert both == f"<aggregates>{WRITTEN}{WRITTEN}</aggregates>"
    assert written({"aggregates": []}, "GET /os-aggregates") == "<aggregates/>"


def test_hosts_have_attributes() -> None:
    row = {"host_name": "h", "service": "compute", "zone": 'z"'}
    assert written({"hosts": [row]}, "GET /os-hosts") == (
        '<hosts><host host_name="h" service="compute" zone="z&quot;"/></hosts>'
    )
    resource = {"host": "h", "project": "(total)", "cpu": 1, "memory_mb": 2, "disk_gb": 3}
    assert written({"host": [{"resource": resource}] * 2}, "GET /os-hosts/{name}") == (
        "<host>" + "<resource><host>h</host><project>(total)</project><cpu>1</cpu>"
        "<memory_mb>2</memory_mb><disk_gb>3</disk_gb></resource>" * 2 + "</host>"
    )


def test_answers_without_a_root_key() -> None:
    goal = {"host": "h", "status": "enabled", "maintenance_mode": "off_maintenance"}
    assert written(goal, "PUT /os-hosts/{name}") == (
        '<host host="h" status="enabled" maintenance_mode="off_maintenance"/>'
    )
    power = {"host": "h", "power_action": "reboot"}
    assert written(power, "GET /os-hosts/{name}/reboot") == (
        '<host host="h" power_action="reboot"/>'
    )
    plan = written({"aggregate": AGGREGATE, "steps": []}, "PUT /os-aggregates/{id}/hosts")
    assert plan == f"<plan>{WRITTEN}<steps/></plan>"


def test_faults_have_a_namespace() -> None:
    document = {"overLimit": {"code": 413, "message": "a\x00b", "retryAfter": 5}}
    assert xml.write(document, FAULT).decode().removeprefix(HEAD) == (
        '<overLimit xmlns="http://docs.openstack.org/compute/api/v1.1" code="413">'
        "<message>a\ufffdb</message><retryAfter>5</retryAfter></overLimit>"
    )


# Requests

CREATE, UPDATE = aggregates.CREATE[LEGACY], aggregates.UPDATE[LEGACY]
ACTIONS = aggregates.ACTIONS.whole[LEGACY]
NAMESPACED = 'xmlns="http://docs.openstack.org/compute/api/v1.1"'
NIL = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'


@pytest.mark.parametrize(
    ("text", "validator", "document"),
    [
        (
            '<aggregate name="n" availability_zone="z"/>',
            CREATE,
            {"aggregate": {"name": "n", "availability_zone": "z"}},
        ),
        (
            f"<aggregate {NAMESPACED}>\n <name>1</name>\n"
            " <availability_zone>z</availability_zone>\n</aggregate>",
            CREATE,
            {"aggregate": {"name": "1", "availability_zone": "z"}},
        ),
        (
            "<!-- c --><aggregate><?pi x?><name>a<!-- c -->b</name></aggregate>",
            UPDATE,
            {"aggregate": {"name": "ab"}},
        ),
        ('<add_host host="h"/>', ACTIONS, {"add_host": {"host": "h"}}),
        (
            '<remove_host host="h" forget="true"/>',
            ACTIONS,
            {"remove_host": {"host": "h", "forget": True}},
        ),
        (
            "<set_metadata><metadata><key>value</key><gone/></metadata></set_metadata>",
            ACTIONS,
            {"set_metadata": {"metadata": {"key": "value", "gone": ""}}},
        ),
        (
            f'<set_metadata><metadata><meta key="a b">1</meta><gone {NIL}/><meta>m</meta>'
            "</metadata></set_metadata>",
            ACTIONS,
            {"set_metadata": {"metadata": {"a b": "1", "gone": None, "meta": "m"}}},
        ),
        ("<set_metadata><metadata/></set_metadata>", ACTIONS, {"set_metadata": {"metadata": {}}}),
        ("<cancel/>", operations.ACTIONS.whole[LEGACY], {"cancel": {}}),
        (
            "<membership><hosts><host>a</host><host>b</host></hosts><master>b</master></membership>",
            aggregates.HOSTS,
            {"hosts": ["a", "b"], "master": "b"},
        ),
        (
            "<updates><status>enable</status><maintenance_mode>disable</maintenance_mode></updates>",
            maintenance.UPDATE[LEGACY],
            {"status": "enable", "maintenance_mode": "disable"},
        ),
        (
            '<host name="h" address="10.0.0.1" port="443" user="u" password="p" zone="z" '
            'insecure="True"/>',
            hosts.REGISTER,
            {
                "host": {
                    "name": "h",
                    "address": "10.0.0.1",
                    "port": 443,
                    "user": "u",
                    "password": "p",
                    "zone": "z",
                    "insecure": True,
                }
            },
        ),
    ],
)
def test_requests(text: str, validator: Validator, document: Any) -> None:
    assert xml.read(text.encode(), validator.schema) == document
    validator.check(document)


def test_what_the_schema_does_not_know_is_read_for_it_to_refuse() -> None:
    read = xml.read(b'<aggregate x="1"><name><y>2</y></name></aggregate>', CREATE.schema)
    assert read == {"aggregate": {"x": "1", "name": {"y": "2"}}}
    assert xml.read(b"<other>t</other>", CREATE.schema) == {"other": "t"}
    assert xml.read(b'<host port="x" insecure="maybe"/>', hosts.REGISTER.schema) == {
        "host": {"port": "x", "insecure": "maybe"}
    }


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a0 "lol">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><aggregate><name>&a9;</name></aggregate>"
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "<aggregate>",
        "<aggregate></other>",
        "<aggregate/><aggregate/>",
        "<aggregate name='a' name='b'/>",
        "<aggregate name='a'><name>b</name></aggregate>",
        "<aggregate><name>a</name><name>b</name></aggregate>",
        "<aggregate><name>&undefined;</name></aggregate>",
        "<aggregate><name>\x01</name></aggregate>",
        "<aggregate><name>&#0;</name></aggregate>",
        "<!DOCTYPE aggregate><aggregate/>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><aggregate/>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><aggregate name="x">&e;</aggregate>',
        '<!DOCTYPE a [<!ENTITY e "v">]><aggregate name="&e;"/>',
        LAUGHS,
        "<a>" * 5000 + "</a>" * 5000,
        '<?xml version="1.0" encoding="no-such"?><aggregate/>',
        '<set_metadata><metadata><meta key="k">1</meta><k>2</k></metadata></set_metadata>',
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(Fault) as caught:
        xml.read(text.encode(), ACTIONS.schema)
    assert caught.value.status == 400
    assert "root:" not in caught.value.message
    assert caught.value.message.isprintable()


def test_the_root_of_a_body_with_several_keys() -> None:
    with pytest.raises(Fault, match="The root element must be updates"):
        xml.read(b"<host/>", maintenance.UPDATE[LEGACY].schema)


@given(st.dictionaries(st.text(max_size=8).filter(is_name), st.text(max_size=8).filter(is_name)))
def test_metadata_there_and_back(metadata: dict[str, str]) -> None:
    """Whatever the API takes for a key or a value."""
    answer = xml.write(
        {"aggregate": {**AGGREGATE, "metadata": metadata}},
        EXCHANGES["GET /os-aggregates/{id}"].answer(200, LEGACY),
    )
    element = etree.fromstring(answer).find("metadata")
    request = etree.Element("set_metadata")
    request.append(element)
    read = xml.read(etree.tostring(request), ACTIONS.schema)
    assert read == {"set_metadata": {"metadata": metadata}}
