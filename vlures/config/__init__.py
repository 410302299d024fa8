"""A run's configuration: TOML, flags and environment become one checked, frozen record."""
