"""What could not be archived outlives its process, and goes to the bucket from the next one."""
