#pragma once
#include <stddef.h>
#include <stdint.h>

/// libFuzzer's loop: makes inputs and calls `offer` with each, which gives 0.
/// Defined in the toolchain's libclang_rt.fuzzer_no_main; see tools/fuzz.
int LLVMFuzzerRunDriver(
    int *argc, char ***argv, int (*offer)(const uint8_t *bytes, size_t count));
