"""Parameter scans: thousands of runs of one program, packed into few containers, with the state of each point kept."""
