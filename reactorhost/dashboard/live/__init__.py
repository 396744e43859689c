"""Draw the live view and handle its keys."""
