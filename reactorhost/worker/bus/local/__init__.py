"""What one worker delivers to its own connections and functions, the members it knows, and what it keeps."""
