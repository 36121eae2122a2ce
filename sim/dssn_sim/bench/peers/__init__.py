"""The peers' runners, each a program of its own: ``python FILE`` needs the peer only, not this package."""
