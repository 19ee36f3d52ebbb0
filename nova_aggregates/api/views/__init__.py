"""Documents from the service's nouns. Their shapes are in nova_aggregates.api.schemas."""
