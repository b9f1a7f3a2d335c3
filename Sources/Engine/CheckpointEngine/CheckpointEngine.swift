// The room CheckpointEngine.
