// The room Simulator.
