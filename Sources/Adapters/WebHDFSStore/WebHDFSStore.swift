// The room WebHDFSStore.
