"""Every problem of a scenario at once, and the reference pages made from the schema."""

from dssn.checks.check import check, check_text

__all__ = ["check", "check_text"]
