"""Sphinx. Build: sphinx-build -W doc/source doc/build/html"""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "nova-aggregates"
release = metadata.version(project)
version = release
author = "the authors of nova-aggregates"

extensions = ["oslo_config.sphinxext", "cliff.sphinxext", "errors"]
autoprogram_cliff_application = project

html_theme = "alabaster"
html_theme_options = {"description": "Host aggregates that are XenServer pools"}
html_show_sourcelink = False
templates_path: list[str] = []
exclude_patterns: list[str] = ["_ext"]
# What is written is shown: no "--" that became a dash in a command.
smartquotes = False
