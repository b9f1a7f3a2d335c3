// The room Fencing.
