"""Side-by-side measurement: workloads, peers in processes of their own, and what they cost."""
