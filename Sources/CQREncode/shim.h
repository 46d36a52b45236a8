#pragma once
#include <dlfcn.h>
#include <qrencode.h>
#include <stdlib.h>

/* Few commands draw codes: so the programs aren't linked with libqrencode. It is loaded when it is first
   needed, and each function is looked up by its name. */
static inline void *karvan_qr_library(void) {
    static void *library = NULL;
    void *loaded = __atomic_load_n(&library, __ATOMIC_ACQUIRE);
    if (!loaded) {
        loaded = dlopen("libqrencode.so.4", RTLD_NOW | RTLD_LOCAL);
        __atomic_store_n(&library, loaded, __ATOMIC_RELEASE);
    }
    return loaded;
}

#define KARVAN_QR(function) ((__typeof__(&function))dlsym(karvan_qr_library(), #function))

/* Of level M, in 8-bit mode. NULL for what no code can hold, and where the library can't be loaded. To be
   freed with karvan_qr_free. */
static inline QRcode *karvan_qr_encode(int count, const unsigned char *bytes) {
    if (!karvan_qr_library()) return NULL;
    return KARVAN_QR(QRcode_encodeData)(count, bytes, 0, QR_ECLEVEL_M);
}

static inline void karvan_qr_free(QRcode *code) { KARVAN_QR(QRcode_free)(code); }
