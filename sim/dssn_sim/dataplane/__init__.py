"""The data plane: flows over links and work on devices."""
