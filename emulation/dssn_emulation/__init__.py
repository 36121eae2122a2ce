"""The emulation: wall time (a later release)."""
