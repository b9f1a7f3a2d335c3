// The room DataPath.
