"""XenServer hosts that speak XenAPI over HTTPS, for tests, demonstrations and rehearsals.

The simulator knows nothing of the service. It follows what a running xapi 26.17 was observed to
do, and where nothing was observed the sources of xapi-project/xen-api.
"""
