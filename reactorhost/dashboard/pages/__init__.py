"""The pages of the live view: what each shows below the header, and its own keys."""
