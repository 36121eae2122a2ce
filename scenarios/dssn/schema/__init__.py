"""The scenario language: pydantic models whose field docstrings are the reference."""

from dssn.schema.scenario import Scenario, json_schema

__all__ = ["Scenario", "json_schema"]
