"""Stories: what a person lives through, told in a real browser against a real server."""
