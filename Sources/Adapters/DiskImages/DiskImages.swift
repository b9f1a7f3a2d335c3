// The room DiskImages.
