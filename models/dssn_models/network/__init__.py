"""Link technologies, topologies, routing."""
