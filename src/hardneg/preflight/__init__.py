"""What can be known to fail before it costs anything."""
