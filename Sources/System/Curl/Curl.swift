// The room Curl.
