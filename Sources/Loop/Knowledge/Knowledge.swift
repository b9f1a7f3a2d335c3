// The room Knowledge.
