// The room Declarations.
