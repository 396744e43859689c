"""Accept connections and read datagrams from the sockets that a worker borrows from slots."""
