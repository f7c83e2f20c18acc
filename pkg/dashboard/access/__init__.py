"""Who asks, with which rights, and which requests are answered at all."""
