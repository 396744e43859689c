"""Accept clients from the listeners that a worker borrows from slots."""
