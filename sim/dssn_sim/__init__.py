"""The simulator: virtual time."""
