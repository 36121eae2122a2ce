"""The Python face of the testbed: what ``import dssn`` gives. Nothing below ``dssn`` imports it."""
