#pragma once
#include <zstd.h>

/* Macros with casts, which Swift doesn't import. */
static inline unsigned long long karvan_zstd_size_unknown(void) { return ZSTD_CONTENTSIZE_UNKNOWN; }
static inline unsigned long long karvan_zstd_size_error(void) { return ZSTD_CONTENTSIZE_ERROR; }
