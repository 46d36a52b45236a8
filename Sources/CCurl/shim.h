#pragma once
#include <curl/curl.h>
#include <dlfcn.h>
#include <sys/ioctl.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif

/* libcurl brings some thirty libraries along, and loading those takes longer than recording does. So
   the programs aren't linked with it: it is loaded when a hub is first talked to, and each function
   is looked up by its name. Two threads that load it at once get the same. */
static inline void *karvan_curl_library(void) {
    static void *library = NULL;
    void *loaded = __atomic_load_n(&library, __ATOMIC_ACQUIRE);
    if (!loaded) {
        loaded = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
        __atomic_store_n(&library, loaded, __ATOMIC_RELEASE);
    }
    return loaded;
}

/* Why it can't be loaded; NULL when it can. To be asked before anything else here is called. */
static inline const char *karvan_curl_problem(void) {
    return karvan_curl_library() ? NULL : dlerror();
}

#define KARVAN_CURL(function) ((__typeof__(&function))dlsym(karvan_curl_library(), #function))

static inline CURLcode karvan_curl_global_init(long flags) {
    return KARVAN_CURL(curl_global_init)(flags);
}

static inline CURL *karvan_curl_easy_init(void) { return KARVAN_CURL(curl_easy_init)(); }

static inline void karvan_curl_easy_cleanup(CURL *curl) { KARVAN_CURL(curl_easy_cleanup)(curl); }

static inline const char *karvan_curl_easy_strerror(CURLcode code) {
    return KARVAN_CURL(curl_easy_strerror)(code);
}

static inline CURLM *karvan_curl_multi_init(void) { return KARVAN_CURL(curl_multi_init)(); }

static inline CURLMcode karvan_curl_multi_cleanup(CURLM *multi) {
    return KARVAN_CURL(curl_multi_cleanup)(multi);
}

static inline CURLMcode karvan_curl_multi_add_handle(CURLM *multi, CURL *curl) {
    return KARVAN_CURL(curl_multi_add_handle)(multi, curl);
}

static inline CURLMcode karvan_curl_multi_remove_handle(CURLM *multi, CURL *curl) {
    return KARVAN_CURL(curl_multi_remove_handle)(multi, curl);
}

static inline CURLMcode karvan_curl_multi_perform(CURLM *multi, int *running) {
    return KARVAN_CURL(curl_multi_perform)(multi, running);
}

static inline CURLMcode karvan_curl_multi_poll(CURLM *multi, int milliseconds) {
    return KARVAN_CURL(curl_multi_poll)(multi, NULL, 0, milliseconds, NULL);
}

static inline CURLMsg *karvan_curl_multi_info_read(CURLM *multi, int *waiting) {
    return KARVAN_CURL(curl_multi_info_read)(multi, waiting);
}

static inline const char *karvan_curl_multi_strerror(CURLMcode code) {
    return KARVAN_CURL(curl_multi_strerror)(code);
}

static inline struct curl_slist *karvan_curl_slist_append(
    struct curl_slist *list, const char *text) {
    return KARVAN_CURL(curl_slist_append)(list, text);
}

static inline void karvan_curl_slist_free_all(struct curl_slist *list) {
    KARVAN_CURL(curl_slist_free_all)(list);
}

static inline CURLU *karvan_curl_url(void) { return KARVAN_CURL(curl_url)(); }

static inline void karvan_curl_url_cleanup(CURLU *url) { KARVAN_CURL(curl_url_cleanup)(url); }

static inline CURLUcode karvan_curl_url_set(
    CURLU *url, CURLUPart part, const char *text, unsigned int flags) {
    return KARVAN_CURL(curl_url_set)(url, part, text, flags);
}

static inline CURLUcode karvan_curl_url_get(
    CURLU *url, CURLUPart part, char **text, unsigned int flags) {
    return KARVAN_CURL(curl_url_get)(url, part, text, flags);
}

static inline void karvan_curl_free(void *memory) { KARVAN_CURL(curl_free)(memory); }

/* curl_easy_setopt and curl_easy_getinfo are variadic, which Swift doesn't import: one wrapper per
   argument type. */

static inline CURLcode karvan_curl_set_long(CURL *curl, CURLoption option, long value) {
    return KARVAN_CURL(curl_easy_setopt)(curl, option, value);
}

static inline CURLcode karvan_curl_set_off(CURL *curl, CURLoption option, curl_off_t value) {
    return KARVAN_CURL(curl_easy_setopt)(curl, option, value);
}

/* libcurl copies the text. */
static inline CURLcode karvan_curl_set_text(CURL *curl, CURLoption option, const char *value) {
    return KARVAN_CURL(curl_easy_setopt)(curl, option, value);
}

/* libcurl keeps the pointer: the caller promises that it outlives its use. */
static inline CURLcode karvan_curl_set_pointer(CURL *curl, CURLoption option, const void *value) {
    return KARVAN_CURL(curl_easy_setopt)(curl, option, value);
}

/* libcurl keeps the list: the caller promises that it outlives its use. */
static inline CURLcode karvan_curl_set_list(
    CURL *curl, CURLoption option, struct curl_slist *value) {
    return KARVAN_CURL(curl_easy_setopt)(curl, option, value);
}

/* libcurl copies the bytes. */
static inline CURLcode karvan_curl_set_blob(
    CURL *curl, CURLoption option, const void *bytes, size_t count) {
    struct curl_blob blob = {(void *)bytes, count, CURL_BLOB_COPY};
    return KARVAN_CURL(curl_easy_setopt)(curl, option, &blob);
}

static inline CURLcode karvan_curl_set_write(CURL *curl, curl_write_callback callback) {
    return KARVAN_CURL(curl_easy_setopt)(curl, CURLOPT_WRITEFUNCTION, callback);
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
    return KARVAN_CURL(curl_easy_setopt)(curl, CURLOPT_DEBUGFUNCTION, callback);
}

static inline CURLcode karvan_curl_set_opened(CURL *curl, curl_sockopt_callback callback) {
    return KARVAN_CURL(curl_easy_setopt)(curl, CURLOPT_SOCKOPTFUNCTION, callback);
}

static inline CURLcode karvan_curl_set_close(CURL *curl, curl_closesocket_callback callback) {
    return KARVAN_CURL(curl_easy_setopt)(curl, CURLOPT_CLOSESOCKETFUNCTION, callback);
}

static inline CURLcode karvan_curl_get_long(CURL *curl, CURLINFO info, long *value) {
    return KARVAN_CURL(curl_easy_getinfo)(curl, info, value);
}

static inline CURLcode karvan_curl_get_off(CURL *curl, CURLINFO info, curl_off_t *value) {
    return KARVAN_CURL(curl_easy_getinfo)(curl, info, value);
}

/* The text belongs to libcurl, until the next transfer. */
static inline CURLcode karvan_curl_get_text(CURL *curl, CURLINFO info, const char **value) {
    char *text = NULL;
    CURLcode code = KARVAN_CURL(curl_easy_getinfo)(curl, info, &text);
    *value = text;
    return code;
}
