"""Scenario files: YAML with positions, imports, merge order, ``--set``, validation."""

from dssn.loading.library import list_library
from dssn.loading.load import Loaded, load_scenario, load_text

__all__ = ["Loaded", "list_library", "load_scenario", "load_text"]
