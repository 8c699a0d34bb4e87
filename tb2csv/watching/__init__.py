"""What changes below a log directory, as it happens: the system's notifications, listings, and polls."""
