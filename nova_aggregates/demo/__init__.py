"""The main job, shown: simulated hosts, the service, and a walk over real HTTP that is checked at
the hosts themselves. Started by ``./run.sh``."""
