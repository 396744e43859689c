"""What the live view knows and what the user selected."""
