"""Independent ways to obtain a number that the library must reproduce."""
