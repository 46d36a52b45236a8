#pragma once
#include <dlfcn.h>
#include <png.h>
#include <string.h>

/* Few commands draw pictures: so the programs aren't linked with libpng. It is loaded when it is first
   needed, and each function is looked up by its name. */
static inline void *karvan_png_library(void) {
    static void *library = NULL;
    void *loaded = __atomic_load_n(&library, __ATOMIC_ACQUIRE);
    if (!loaded) {
        loaded = dlopen("libpng16.so.16", RTLD_NOW | RTLD_LOCAL);
        __atomic_store_n(&library, loaded, __ATOMIC_RELEASE);
    }
    return loaded;
}

#define KARVAN_PNG(function) ((__typeof__(&function))dlsym(karvan_png_library(), #function))

/* A square picture of 8 bits a pixel, 0 black and 255 white, as a PNG file. Its size when `file` is
   NULL; otherwise what was written of the `size` bytes there. 0 on failure, and where the library can't be
   loaded. */
static inline size_t karvan_png_write(
    const unsigned char *pixels, unsigned int width, void *file, size_t size) {
    if (!karvan_png_library()) return 0;
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = width;
    image.height = width;
    image.format = PNG_FORMAT_GRAY;
    png_alloc_size_t count = size;
    if (!KARVAN_PNG(png_image_write_to_memory)(&image, file, &count, 0, pixels, 0, NULL)) return 0;
    return count;
}
