"""What the kernel and the silicon make of the facts: pure functions of the model."""
