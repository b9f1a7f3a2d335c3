#pragma once
// libcurl's options are variadic, which Swift cannot call: one function a type.
#include <curl/curl.h>

static inline CURLcode cairn_curl_set_long(CURL *handle, CURLoption option, long value) { return curl_easy_setopt(handle, option, value); }
static inline CURLcode cairn_curl_set_size(CURL *handle, CURLoption option, curl_off_t value) { return curl_easy_setopt(handle, option, value); }
static inline CURLcode cairn_curl_set_string(CURL *handle, CURLoption option, const char *value) { return curl_easy_setopt(handle, option, value); }
static inline CURLcode cairn_curl_set_pointer(CURL *handle, CURLoption option, void *value) { return curl_easy_setopt(handle, option, value); }
static inline CURLcode cairn_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) { return curl_easy_setopt(handle, option, value); }
static inline CURLcode cairn_curl_set_write(CURL *handle, CURLoption option, size_t (*value)(char *, size_t, size_t, void *)) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode cairn_curl_get_long(CURL *handle, CURLINFO info, long *value) { return curl_easy_getinfo(handle, info, value); }
static inline CURLcode cairn_curl_set_seek(CURL *handle, CURLoption option, int (*value)(void *, curl_off_t, int)) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode cairn_curl_get_size(CURL *handle, CURLINFO info, curl_off_t *value) { return curl_easy_getinfo(handle, info, value); }

// curl_easy_perform, looking at every connection each `tick` milliseconds: libcurl 7.88 waits for an FTP data connection's TLS while it is the
// control connection that has something to say, and looks there after a second.
CURLcode cairn_curl_perform(void *multi, CURL *handle, int tick);
