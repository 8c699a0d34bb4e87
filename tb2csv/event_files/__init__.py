"""Event files: bytes to columns of summary values."""
