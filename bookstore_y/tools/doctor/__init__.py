"""Whether the settings and the bucket allow what the archive asks of them."""
