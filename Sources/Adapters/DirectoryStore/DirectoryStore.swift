// The room DirectoryStore.
