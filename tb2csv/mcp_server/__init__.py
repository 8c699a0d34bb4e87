"""A server of the Model Context Protocol, which gives agents the tables of a log directory."""
