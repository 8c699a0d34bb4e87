"""Tables, frames and findings of a log that is still being written."""
