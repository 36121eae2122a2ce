"""Scenario files: YAML with positions, imports, merge order, ``--set``, validation."""

from dssn.loading.load import Loaded, load_scenario, load_text
from dssn.loading.shelf import list_library

__all__ = ["Loaded", "list_library", "load_scenario", "load_text"]
