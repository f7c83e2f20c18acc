"""A real kubelet with real containers beside the local control plane (root only)."""
