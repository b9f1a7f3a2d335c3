// The room NodeLink.
