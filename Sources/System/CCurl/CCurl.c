#include "CCurl.h"

CURLcode cairn_curl_perform(void *multi, CURL *handle, int tick) {
    if (curl_multi_add_handle(multi, handle) != CURLM_OK) return CURLE_FAILED_INIT;
    CURLMcode code = CURLM_OK;
    int running = 1;
    while (running && code == CURLM_OK) {
        code = curl_multi_perform(multi, &running);
        if (running && code == CURLM_OK) code = curl_multi_poll(multi, NULL, 0, tick, NULL);
    }
    CURLcode result = CURLE_FAILED_INIT;
    if (code == CURLM_OK) {
        int left = 0;
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));)
            if (message->msg == CURLMSG_DONE && message->easy_handle == handle) result = message->data.result;
    }
    curl_multi_remove_handle(multi, handle);
    return result;
}
