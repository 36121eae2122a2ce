"""Compute: node forms and sizes, simulated TEE profiles, paging cliff, accelerators."""
