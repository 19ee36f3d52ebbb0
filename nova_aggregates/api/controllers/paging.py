"""What of a list is wanted, by the parameters of the query."""

from __future__ import annotations

from urllib.parse import urlencode

from nova_aggregates.api.call import Call
from nova_aggregates.api.validation import moment
from nova_aggregates.objects import AggregateSearch, AggregateState, SortKey


def search(call: Call) -> AggregateSearch:
    """The query of a list of aggregates. Versions without these parameters want everything."""
    state, since = call.query("operational_state"), call.query("changes-since")
    return AggregateSearch(
        name=call.query("name"),
        availability_zone=call.query("availability_zone"),
        host=call.query("host"),
        state=state and AggregateState(state),
        metadata_key=call.query("metadata_key"),
        metadata_value=call.query("metadata_value"),
        changed_since=since and moment(since),
        sort_key=SortKey(call.query("sort_key") or SortKey.ID),
        descending=call.query("sort_dir") == "desc",
        marker=call.query("marker"),
        limit=call.query("limit"),
    )


def next_page(call: Call, marker: int | str) -> str:
    """The URL of what comes behind ``marker`` in the list that was asked for."""
    kept = [(name, value) for name, value in call.request.GET.items() if name != "marker"]
    return f"{call.request.path_url}?{urlencode([*kept, ('marker', marker)])}"
