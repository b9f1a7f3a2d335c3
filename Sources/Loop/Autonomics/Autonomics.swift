// The room Autonomics.
