"""Decisions that a user may replace: placement, routing, admission, queueing, technology."""
