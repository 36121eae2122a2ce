"""The DSSN testbed: one scenario file, from order to bill."""
