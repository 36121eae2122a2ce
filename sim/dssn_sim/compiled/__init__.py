"""The compiled kernel: the life of a delivery in machine code (see docs/design/compiled.md)."""
