#pragma once
#include <png.h>
#include <string.h>

/* A square picture of 8 bits a pixel, 0 black and 255 white, as a PNG file. Its size when `file` is
   NULL; otherwise what was written of the `size` bytes there. 0 on failure. */
static inline size_t karvan_png_write(
    const unsigned char *pixels, unsigned int width, void *file, size_t size) {
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = width;
    image.height = width;
    image.format = PNG_FORMAT_GRAY;
    png_alloc_size_t count = size;
    if (!png_image_write_to_memory(&image, file, &count, 0, pixels, 0, NULL)) return 0;
    return count;
}
