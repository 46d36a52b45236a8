#pragma once
#include <curl/curl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif

/* curl_easy_setopt and curl_easy_getinfo are variadic, which Swift doesn't import: one wrapper per
   argument type. */

static inline CURLcode karvan_curl_set_long(CURL *curl, CURLoption option, long value) {
    return curl_easy_setopt(curl, option, value);
}

static inline CURLcode karvan_curl_set_off(CURL *curl, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(curl, option, value);
}

/* libcurl copies the text. */
static inline CURLcode karvan_curl_set_text(CURL *curl, CURLoption option, const char *value) {
    return curl_easy_setopt(curl, option, value);
}

/* libcurl keeps the pointer: the caller promises that it outlives its use. */
static inline CURLcode karvan_curl_set_pointer(CURL *curl, CURLoption option, const void *value) {
    return curl_easy_setopt(curl, option, value);
}

/* libcurl keeps the list: the caller promises that it outlives its use. */
static inline CURLcode karvan_curl_set_list(
    CURL *curl, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(curl, option, value);
}

/* libcurl copies the bytes. */
static inline CURLcode karvan_curl_set_blob(
    CURL *curl, CURLoption option, const void *bytes, size_t count) {
    struct curl_blob blob = {(void *)bytes, count, CURL_BLOB_COPY};
    return curl_easy_setopt(curl, option, &blob);
}

static inline CURLcode karvan_curl_set_write(CURL *curl, curl_write_callback callback) {
    return curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, callback);
}

/* Bytes that a socket took and the other side hasn't acknowledged; 0 where nobody can say. */
static inline int karvan_unacknowledged_bytes(curl_socket_t socket) {
    int count = 0;
#ifdef SIOCOUTQ
    if (ioctl(socket, SIOCOUTQ, &count) != 0) count = 0;
#endif
    return count;
}

static inline int karvan_close_socket(curl_socket_t socket) { return close(socket); }

static inline CURLcode karvan_curl_set_debug(CURL *curl, curl_debug_callback callback) {
    return curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, callback);
}

static inline CURLcode karvan_curl_set_opened(CURL *curl, curl_sockopt_callback callback) {
    return curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, callback);
}

static inline CURLcode karvan_curl_set_close(CURL *curl, curl_closesocket_callback callback) {
    return curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, callback);
}

static inline CURLcode karvan_curl_get_long(CURL *curl, CURLINFO info, long *value) {
    return curl_easy_getinfo(curl, info, value);
}

static inline CURLcode karvan_curl_get_off(CURL *curl, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(curl, info, value);
}

/* The text belongs to libcurl, until the next transfer. */
static inline CURLcode karvan_curl_get_text(CURL *curl, CURLINFO info, const char **value) {
    char *text = NULL;
    CURLcode code = curl_easy_getinfo(curl, info, &text);
    *value = text;
    return code;
}
