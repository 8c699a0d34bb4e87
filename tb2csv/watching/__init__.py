"""Changes below a log directory, as they happen: the system's notifications, listings, and polls."""
