#pragma once
#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-client/publish.h>
#include <avahi-common/address.h>
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <avahi-common/strlst.h>
#include <avahi-common/thread-watch.h>
#include <dlfcn.h>
#include <stdlib.h>

/* Few commands look for others in the network, and not every laptop can: so the programs aren't linked
   with Avahi's client library. It is loaded when it is first needed, and each function is looked up by
   its name, there or in the library of Avahi that it brings along. */
static inline void *karvan_avahi_library(void) {
    static void *library = NULL;
    void *loaded = __atomic_load_n(&library, __ATOMIC_ACQUIRE);
    if (!loaded) {
        loaded = dlopen("libavahi-client.so.3", RTLD_NOW | RTLD_LOCAL);
        __atomic_store_n(&library, loaded, __ATOMIC_RELEASE);
    }
    return loaded;
}

/* Why it can't be loaded; NULL when it can. To be asked before anything else here is called. */
static inline const char *karvan_avahi_problem(void) {
    return karvan_avahi_library() ? NULL : dlerror();
}

#define KARVAN_AVAHI(function) ((__typeof__(&function))dlsym(karvan_avahi_library(), #function))

static inline const char *karvan_avahi_strerror(int error) {
    return KARVAN_AVAHI(avahi_strerror)(error);
}

/* Loops: one on a thread of its own, one that its caller turns. */

static inline AvahiThreadedPoll *karvan_avahi_threaded_poll_new(void) {
    return KARVAN_AVAHI(avahi_threaded_poll_new)();
}

static inline const AvahiPoll *karvan_avahi_threaded_poll_get(AvahiThreadedPoll *poll) {
    return KARVAN_AVAHI(avahi_threaded_poll_get)(poll);
}

static inline int karvan_avahi_threaded_poll_start(AvahiThreadedPoll *poll) {
    return KARVAN_AVAHI(avahi_threaded_poll_start)(poll);
}

static inline int karvan_avahi_threaded_poll_stop(AvahiThreadedPoll *poll) {
    return KARVAN_AVAHI(avahi_threaded_poll_stop)(poll);
}

static inline void karvan_avahi_threaded_poll_free(AvahiThreadedPoll *poll) {
    KARVAN_AVAHI(avahi_threaded_poll_free)(poll);
}

static inline AvahiSimplePoll *karvan_avahi_simple_poll_new(void) {
    return KARVAN_AVAHI(avahi_simple_poll_new)();
}

static inline const AvahiPoll *karvan_avahi_simple_poll_get(AvahiSimplePoll *poll) {
    return KARVAN_AVAHI(avahi_simple_poll_get)(poll);
}

static inline int karvan_avahi_simple_poll_iterate(AvahiSimplePoll *poll, int milliseconds) {
    return KARVAN_AVAHI(avahi_simple_poll_iterate)(poll, milliseconds);
}

static inline void karvan_avahi_simple_poll_free(AvahiSimplePoll *poll) {
    KARVAN_AVAHI(avahi_simple_poll_free)(poll);
}

/* The daemon. */

static inline AvahiClient *karvan_avahi_client_new(
    const AvahiPoll *poll, AvahiClientFlags flags, AvahiClientCallback callback, void *context,
    int *error) {
    return KARVAN_AVAHI(avahi_client_new)(poll, flags, callback, context, error);
}

static inline void karvan_avahi_client_free(AvahiClient *client) {
    KARVAN_AVAHI(avahi_client_free)(client);
}

static inline int karvan_avahi_client_errno(AvahiClient *client) {
    return KARVAN_AVAHI(avahi_client_errno)(client);
}

static inline AvahiClientState karvan_avahi_client_get_state(AvahiClient *client) {
    return KARVAN_AVAHI(avahi_client_get_state)(client);
}

/* What is announced. */

static inline AvahiEntryGroup *karvan_avahi_entry_group_new(
    AvahiClient *client, AvahiEntryGroupCallback callback, void *context) {
    return KARVAN_AVAHI(avahi_entry_group_new)(client, callback, context);
}

static inline int karvan_avahi_entry_group_reset(AvahiEntryGroup *group) {
    return KARVAN_AVAHI(avahi_entry_group_reset)(group);
}

static inline int karvan_avahi_entry_group_commit(AvahiEntryGroup *group) {
    return KARVAN_AVAHI(avahi_entry_group_commit)(group);
}

static inline int karvan_avahi_entry_group_add_service(
    AvahiEntryGroup *group, AvahiIfIndex interface, AvahiProtocol protocol, const char *name,
    const char *type, uint16_t port, AvahiStringList *text) {
    return KARVAN_AVAHI(avahi_entry_group_add_service_strlst)(
        group, interface, protocol, 0, name, type, NULL, NULL, port, text);
}

/* To be freed with karvan_avahi_free. */
static inline char *karvan_avahi_alternative_service_name(const char *name) {
    return KARVAN_AVAHI(avahi_alternative_service_name)(name);
}

static inline void karvan_avahi_free(void *memory) { KARVAN_AVAHI(avahi_free)(memory); }

static inline AvahiStringList *karvan_avahi_string_list_add(
    AvahiStringList *list, const char *text) {
    return KARVAN_AVAHI(avahi_string_list_add)(list, text);
}

static inline void karvan_avahi_string_list_free(AvahiStringList *list) {
    KARVAN_AVAHI(avahi_string_list_free)(list);
}

/* The bytes of one string of a list: a flexible array, which Swift doesn't import. */
static inline const uint8_t *karvan_avahi_string_list_bytes(const AvahiStringList *list) {
    return list->text;
}

/* What is looked for. */

static inline AvahiServiceBrowser *karvan_avahi_service_browser_new(
    AvahiClient *client, const char *type, AvahiServiceBrowserCallback callback, void *context) {
    return KARVAN_AVAHI(avahi_service_browser_new)(
        client, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, type, NULL, 0, callback, context);
}

static inline AvahiServiceResolver *karvan_avahi_service_resolver_new(
    AvahiClient *client, AvahiIfIndex interface, AvahiProtocol protocol, const char *name,
    const char *type, const char *domain, AvahiProtocol address,
    AvahiServiceResolverCallback callback, void *context) {
    return KARVAN_AVAHI(avahi_service_resolver_new)(
        client, interface, protocol, name, type, domain, address, 0, callback, context);
}

static inline void karvan_avahi_service_resolver_free(AvahiServiceResolver *resolver) {
    KARVAN_AVAHI(avahi_service_resolver_free)(resolver);
}

static inline const char *karvan_avahi_address_text(
    char *text, size_t size, const AvahiAddress *address) {
    return KARVAN_AVAHI(avahi_address_snprint)(text, size, address);
}
