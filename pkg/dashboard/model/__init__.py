"""What a browser is sent, as pure values: the scene, states of a Workflow, frames between two of them, recordings."""
