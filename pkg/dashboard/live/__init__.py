"""What moves: one watch of the API server for all viewers of the same thing, and a bounded queue for each viewer."""
