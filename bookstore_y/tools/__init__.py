"""What commands do with a whole archive."""
