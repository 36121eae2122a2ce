"""Checks against independent truth: closed forms of queueing theory, textbook shares, byte equality."""
